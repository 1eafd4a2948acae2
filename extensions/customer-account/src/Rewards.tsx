import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Api } from "@shopify/ui-extensions/customer-account.page.render";
import { redeem } from "../../common/client.js";
import type { About, Member, Offer, Redeemed } from "../../common/client.js";
import { clientOf, PATHS, sorry } from "../../common/shopper.js";
import { offers, ready, wish } from "../../common/view.js";

declare const shopify: Api;

export default async () => {
  render(<Rewards />, document.body);
};

const say = (key: string, values?: Record<string, string | number>) => shopify.i18n.translate(key, values);
const counted = (points: number, key = "points") =>
  say(key, { count: points, points: shopify.i18n.formatNumber(points) });

/** The member's balance, what waits for them, and what they can have. */
function Rewards() {
  const [about, setAbout] = useState<About>();
  const [error, setError] = useState("");
  const load = async () => {
    setError("");
    try {
      setAbout(await clientOf(shopify).ask<About>("shopper/me"));
    } catch (failed) {
      setError(sorry(failed, say));
    }
  };
  useEffect(() => void load(), []);

  if (error) {
    return (
      <s-page>
        <s-banner tone="critical">
          <s-stack gap="base">
            <s-paragraph>{error}</s-paragraph>
            <s-button onClick={() => void load()}>{say("again")}</s-button>
          </s-stack>
        </s-banner>
      </s-page>
    );
  }
  if (!about) {
    return (
      <s-page>
        <s-spinner accessibilityLabel={say("loading")} />
      </s-page>
    );
  }
  return (
    <s-page heading={about.program}>
      {about.member ? <Balance member={about.member} /> : <s-paragraph>{say("join")}</s-paragraph>}
      {about.member && <Waiting rewards={ready(about, [])} />}
      {about.member && <Offers shown={offers(about)} load={load} />}
    </s-page>
  );
}

function Balance({ member }: { member: Member }) {
  const { next, pending, points, tier } = member;
  return (
    <s-section heading={`${counted(points)} · ${tier.name}`}>
      {pending > 0 && <s-paragraph>{counted(pending, "pending")}</s-paragraph>}
      {next && (
        <s-stack gap="small">
          <s-progress accessibilityLabel={say("progress", { tier: next.name })} value={next.done} max={1} />
          <s-paragraph>{next.text}</s-paragraph>
        </s-stack>
      )}
    </s-section>
  );
}

function Waiting({ rewards }: { rewards: Redeemed[] }) {
  if (!rewards.length) return null;
  return (
    <s-section heading={say("yours")}>
      <s-stack gap="base">
        {rewards.map(({ id, name, code, text }) => (
          <s-stack key={id} gap="small">
            <s-text type="strong">{say("ready", { reward: name, code: code ?? "" })}</s-text>
            <s-paragraph color="subdued">{text}</s-paragraph>
            <s-button command="--copy" commandFor={`code-${id}`}>
              {say("copy")}
            </s-button>
            <s-clipboard-item id={`code-${id}`} text={code ?? ""} onCopy={() => shopify.toast.show(say("copied"))} />
          </s-stack>
        ))}
      </s-stack>
    </s-section>
  );
}

function Offers({ shown, load }: { shown: Offer[]; load: () => Promise<void> }) {
  return (
    <s-section heading={say("have")}>
      <s-stack gap="base">
        {shown.length === 0 && <s-paragraph>{say("empty")}</s-paragraph>}
        {shown.map((offer) => (
          <OfferRow key={offer.key} offer={offer} load={load} />
        ))}
      </s-stack>
    </s-section>
  );
}

function OfferRow({ offer, load }: { offer: Offer; load: () => Promise<void> }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  // The wish keeps its key until it is fulfilled: trying again takes no second reward.
  const [key, setKey] = useState(wish);
  const take = async () => {
    setBusy(true);
    setError("");
    try {
      const got = await redeem(clientOf(shopify), PATHS, { reward: offer.key, key });
      setKey(wish());
      shopify.toast.show(say("taken", { reward: got.name }));
      await load();
    } catch (failed) {
      setError(sorry(failed, say));
    }
    setBusy(false);
  };
  return (
    <s-stack gap="small">
      <s-text type="strong">{offer.name}</s-text>
      <s-paragraph color="subdued">{offer.available ? counted(offer.cost) : offer.why}</s-paragraph>
      {error && <s-paragraph tone="critical">{error}</s-paragraph>}
      {offer.available && (
        <s-button loading={busy} onClick={() => void take()}>
          {say("redeem", { reward: offer.name })}
        </s-button>
      )}
    </s-stack>
  );
}
