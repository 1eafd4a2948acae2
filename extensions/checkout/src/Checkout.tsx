import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Api } from "@shopify/ui-extensions/purchase.checkout.block.render";
import { redeem } from "../../common/client.js";
import type { About, Offer, Redeemed } from "../../common/client.js";
import { clientOf, PATHS, sorry } from "../../common/shopper.js";
import { earning, offers, ready, wish } from "../../common/view.js";

declare const shopify: Api;

export default async () => {
  render(<Checkout />, document.body);
};

const say = (key: string, values?: Record<string, string | number>) => shopify.i18n.translate(key, values);
const number = (points: number) => shopify.i18n.formatNumber(points);
const counted = (key: string, points: number) => say(key, { count: points, points: number(points) });

/** What this order brings, and rewards to take off it. A checkout that can't reach Rapport goes on without it. */
function Checkout() {
  const [about, setAbout] = useState<About>();
  const load = () =>
    clientOf(shopify)
      .ask<About>("shopper/me")
      .then(setAbout)
      .catch(() => {});
  useEffect(() => void load(), []);

  if (!about) return null;
  const { amount, currencyCode } = shopify.cost.subtotalAmount.value;
  const points = earning(about, amount, currencyCode);
  return (
    <s-stack gap="base">
      {points > 0 && <s-text>{counted("earn", points)}</s-text>}
      {about.member && shopify.instructions.value.discounts.canUpdateDiscountCodes && (
        <Redeem about={about} load={load} />
      )}
    </s-stack>
  );
}

function Redeem({ about, load }: { about: About; load: () => Promise<void> }) {
  const [busy, setBusy] = useState("");
  const [said, setSaid] = useState("");
  const applied = shopify.discountCodes.value.map(({ code }) => code);

  const act = async (name: string, work: () => Promise<void>) => {
    if (busy) return false;
    setBusy(name);
    setSaid("");
    try {
      await work();
      return true;
    } catch (failed) {
      setSaid(sorry(failed, say));
      return false;
    } finally {
      setBusy("");
    }
  };
  const use = async ({ name, code }: Redeemed) => {
    if (!code) return;
    const result = await shopify.applyDiscountCodeChange({ type: "addDiscountCode", code });
    setSaid(say(result.type === "success" ? "applied" : "kept", { reward: name, code }));
  };
  const take = (offer: Offer, key: string) =>
    act(offer.key, async () => {
      await use(await redeem(clientOf(shopify), PATHS, { reward: offer.key, key }));
      await load();
    });

  return (
    <s-stack gap="small">
      <s-text color="subdued">{counted("have", about.member?.points ?? 0)}</s-text>
      {ready(about, applied).map((reward) => (
        <s-button
          key={reward.id}
          variant="secondary"
          loading={busy === reward.id}
          onClick={() => void act(reward.id, () => use(reward))}
        >
          {say("use", { reward: reward.name })}
        </s-button>
      ))}
      {offers(about)
        .filter(({ available, discount }) => available && discount)
        .map((offer) => (
          <OfferButton key={offer.key} offer={offer} busy={busy === offer.key} take={take} />
        ))}
      {said && <s-text>{said}</s-text>}
    </s-stack>
  );
}

interface OfferProps {
  offer: Offer;
  busy: boolean;
  take: (offer: Offer, key: string) => Promise<boolean>;
}

function OfferButton({ offer, busy, take }: OfferProps) {
  // The wish keeps its key until it is fulfilled: pressing again after a failure takes no second reward.
  const [key, setKey] = useState(wish);
  const press = async () => (await take(offer, key)) && setKey(wish());
  return (
    <s-button variant="secondary" loading={busy} onClick={() => void press()}>
      {say("redeem", { reward: offer.name, count: offer.cost, points: number(offer.cost) })}
    </s-button>
  );
}
