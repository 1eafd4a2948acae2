import "@shopify/ui-extensions/preact";
import { render } from "preact";
import type { Api } from "@shopify/ui-extensions/pos.customer-details.block.render";
import { Standing, useAbout } from "./till";

declare const shopify: Api;

export default async () => {
  render(<Block />, document.body);
};

/** Points and tier among a customer's details, and the way to their rewards. */
function Block() {
  const { about, error, again } = useAbout(shopify, shopify.customer.id.toString());
  const say = shopify.i18n.translate;
  return (
    <s-pos-block heading={about?.program ?? say("program")}>
      <s-button slot="secondary-actions" onClick={() => shopify.action.presentModal()}>
        {say("open")}
      </s-button>
      {error && <s-text>{error}</s-text>}
      {error && <s-button onClick={() => void again()}>{say("again")}</s-button>}
      {!error && !about && <s-text>{say("loading")}</s-text>}
      {!error && about && <Standing till={shopify} about={about} />}
    </s-pos-block>
  );
}
