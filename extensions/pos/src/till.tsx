// What the till's screens share: a member's standing and what they can redeem onto the cart.

import { useCallback, useEffect, useState } from "preact/hooks";
import { Client, redeem, Refused } from "../../common/client.js";
import type { About, Offer } from "../../common/client.js";
import { offers, standing, wish } from "../../common/view.js";
import type { Api } from "@shopify/ui-extensions/pos.customer-details.action.render";

/** The part of the till's API that these screens use; each target has it. */
export type Till = Pick<Api, "cart" | "i18n" | "session" | "toast">;

const PATHS = (customer: string) => ({
  redeem: "pos/redeem",
  reward: (id: string) => `pos/rewards/${id}?customer_id=${customer}`,
});

export const clientOf = (till: Till) => new Client(() => till.session.getSessionToken());

export const counted = (till: Till, points: number, key = "points") =>
  till.i18n.translate(key, { count: points, points: till.i18n.formatNumber(points) });

export function sorry(till: Till, error: unknown): string {
  if (error instanceof Refused && error.code !== "away") return error.message || till.i18n.translate("slow");
  return till.i18n.translate("away");
}

/** A customer's standing, asked anew when `again` is called. */
export function useAbout(till: Till, customer: string | undefined) {
  const [about, setAbout] = useState<About>();
  const [error, setError] = useState("");
  const again = useCallback(async () => {
    if (!customer) return setAbout(undefined);
    setError("");
    try {
      setAbout(await clientOf(till).ask<About>(`pos/customer?customer_id=${customer}`));
    } catch (failed) {
      setError(sorry(till, failed));
    }
  }, [customer]);
  useEffect(() => void again(), [again]);
  return { about, error, again, setAbout };
}

export function Standing({ till, about }: { till: Till; about: About }) {
  if (!about.member) return <s-text>{till.i18n.translate("no_member")}</s-text>;
  return (
    <s-stack direction="block" gap="small">
      <s-heading>{standing(about, (points) => counted(till, points))}</s-heading>
      {about.member.next && <s-text>{about.member.next.text}</s-text>}
    </s-stack>
  );
}

/** Everything about one customer at the till: join, standing, and what can go onto the cart. */
export function Member({ till, customer }: { till: Till; customer: string }) {
  const { about, error, again, setAbout } = useAbout(till, customer);
  const [busy, setBusy] = useState("");
  const say = till.i18n.translate;

  const act = async (name: string, work: () => Promise<void>) => {
    if (busy) return;
    setBusy(name);
    try {
      await work();
    } catch (failed) {
      till.toast.show(sorry(till, failed));
    }
    setBusy("");
  };
  const enrol = () =>
    act("enrol", async () => setAbout(await clientOf(till).ask<About>("pos/members", { customer_id: customer })));

  if (error) {
    return (
      <s-stack direction="block" gap="base">
        <s-text>{error}</s-text>
        <s-button onClick={() => void again()}>{say("again")}</s-button>
      </s-stack>
    );
  }
  if (!about) return <s-spinner accessibilityLabel={say("loading")} />;
  const shown = about.member ? offers(about) : [];
  return (
    <s-stack direction="block" gap="base">
      <Standing till={till} about={about} />
      {!about.member && (
        <s-button variant="primary" loading={busy === "enrol"} onClick={() => void enrol()}>
          {say("enrol")}
        </s-button>
      )}
      {about.member && !shown.length && <s-text>{say("empty")}</s-text>}
      {shown.map((offer) => (
        <Reward key={offer.key} till={till} customer={customer} offer={offer} busy={busy} act={act} again={again} />
      ))}
    </s-stack>
  );
}

interface RewardProps {
  till: Till;
  customer: string;
  offer: Offer;
  busy: string;
  act: (name: string, work: () => Promise<void>) => Promise<void>;
  again: () => Promise<void>;
}

function Reward({ till, customer, offer, busy, act, again }: RewardProps) {
  const say = till.i18n.translate;
  // The wish keeps its key until it is fulfilled: whoever taps again after a failure takes no second reward.
  const [key, setKey] = useState(wish);
  const take = () =>
    act(offer.key, async () => {
      const asked = { customer_id: customer, reward: offer.key, key };
      const got = await redeem(clientOf(till), PATHS(customer), asked);
      setKey(wish());
      if (got.discount && got.code) {
        await till.cart.addCartCodeDiscount(got.code);
        till.toast.show(say("on_cart", { reward: got.name }));
      } else if (got.code) till.toast.show(say("code", { reward: got.name, code: got.code }));
      else till.toast.show(say("handed", { reward: got.name }));
      await again();
    });
  return (
    <s-section heading={offer.name}>
      <s-text>{offer.available ? counted(till, offer.cost, "cost") : offer.why}</s-text>
      {offer.available && (
        <s-button loading={busy === offer.key} onClick={() => void take()}>
          {say("redeem", { reward: offer.name })}
        </s-button>
      )}
    </s-section>
  );
}
