import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Api } from "@shopify/ui-extensions/pos.home.modal.render";
import type { Scan } from "../../common/client.js";
import { clientOf, Member, sorry } from "./till";

declare const shopify: Api;

export default async () => {
  render(<Modal />, document.body);
};

/** Scan a member's card with the camera or the till's own scanner; whoever it is goes onto the cart. */
function Modal() {
  const [customer, setCustomer] = useState(shopify.cart.current.value.customer?.id.toString());
  const [said, setSaid] = useState("");
  const say = shopify.i18n.translate;

  useEffect(
    () =>
      shopify.scanner.scannerData.current.subscribe(async ({ data }) => {
        if (!data) return;
        shopify.scanner.hideCameraScanner();
        try {
          const found = await clientOf(shopify).ask<Scan>("pos/scan", { code: data });
          setSaid(found.text);
          if (!found.customer_id) return;
          await shopify.cart.setCustomer({ id: Number(found.customer_id) });
          setCustomer(found.customer_id);
        } catch (failed) {
          setSaid(sorry(shopify, failed));
        }
      }),
    [],
  );

  return (
    <s-page heading={say("program")}>
      <s-scroll-box>
        <s-stack direction="block" gap="base">
          <s-button onClick={() => shopify.scanner.showCameraScanner()}>{say("scan")}</s-button>
          {said && <s-text>{said}</s-text>}
          {customer ? <Member key={customer} till={shopify} customer={customer} /> : <s-text>{say("scan_help")}</s-text>}
        </s-stack>
      </s-scroll-box>
    </s-page>
  );
}
