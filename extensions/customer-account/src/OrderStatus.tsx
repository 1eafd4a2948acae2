import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Api } from "@shopify/ui-extensions/customer-account.order-status.block.render";
import { Refused } from "../../common/client.js";
import type { Earned } from "../../common/client.js";
import { clientOf } from "../../common/shopper.js";
import { numberOf } from "../../common/view.js";

declare const shopify: Api;

export default async () => {
  render(<OrderStatus />, document.body);
};

const say = (key: string, values?: Record<string, string | number>) => shopify.i18n.translate(key, values);

function said(failed: unknown): string {
  if (failed instanceof Refused && failed.code !== "away") return failed.code === "no_order" ? say("soon") : "";
  return say("away");
}

/**
 * What this order brought. It says nothing to whoever has not signed in or is no member, and what went wrong to whoever
 * might be waiting for their points.
 */
function OrderStatus() {
  const order = shopify.order.value?.id;
  const [earned, setEarned] = useState<Earned>();
  const [instead, setInstead] = useState("");
  useEffect(() => {
    if (!order) return;
    clientOf(shopify)
      .ask<Earned>(`shopper/orders/${numberOf(order)}`)
      .then(setEarned)
      .catch((failed) => setInstead(said(failed)));
  }, [order]);

  if (instead) return <s-paragraph color="subdued">{instead}</s-paragraph>;
  if (!earned) return null;
  const points = say("points", { count: earned.balance, points: shopify.i18n.formatNumber(earned.balance) });
  return (
    <s-section>
      <s-paragraph>{earned.text}</s-paragraph>
      <s-paragraph color="subdued">{say("balance", { points })}</s-paragraph>
    </s-section>
  );
}
