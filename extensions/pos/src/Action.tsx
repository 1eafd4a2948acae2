import "@shopify/ui-extensions/preact";
import { render } from "preact";
import type { Api } from "@shopify/ui-extensions/pos.customer-details.action.render";
import { Member } from "./till";

declare const shopify: Api;

export default async () => {
  render(
    <s-page heading={shopify.i18n.translate("program")}>
      <s-scroll-box>
        <Member till={shopify} customer={shopify.customer.id.toString()} />
      </s-scroll-box>
    </s-page>,
    document.body,
  );
};
