import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Api } from "@shopify/ui-extensions/pos.home.tile.render";
import { counted, useAbout } from "./till";

declare const shopify: Api;

export default async () => {
  render(<Tile />, document.body);
};

/** The points of whoever is on the cart; opens the card scanner and their rewards. */
function Tile() {
  const cart = shopify.cart.current;
  const [customer, setCustomer] = useState(cart.value.customer?.id);
  useEffect(() => cart.subscribe(({ customer }) => setCustomer(customer?.id)), []);
  const { about, error } = useAbout(shopify, customer?.toString());
  const say = shopify.i18n.translate;
  const member = about?.member;
  const words = member ? `${counted(shopify, member.points)} · ${member.tier.name}` : say("no_member");
  return (
    <s-tile
      heading={about?.program ?? say("program")}
      subheading={customer ? error || (about ? words : say("loading")) : say("tile_idle")}
      onClick={() => shopify.action.presentModal()}
    />
  );
}
