// Shopify runs these at the cart and the checkout. Each takes what its query asks for and answers with operations; an
// answer without operations leaves everything as it is.

const NOTHING = { operations: [] };

/**
 * A percentage off with a maximum, of the whole order or of some products, from a minimum on. Gift cards are money.
 * The configuration is in the shop's currency and written by loyalty/rewards/inputs.py.
 */
export function capped({ cart, discount, presentmentCurrencyRate }) {
  const config = discount.metafield?.jsonValue;
  if (!config) return NOTHING;
  const rate = Number(presentmentCurrencyRate);
  const lines = cart.lines.filter((line) => entitled(line, config));
  const worth = lines.reduce((sum, line) => sum + Number(line.cost.subtotalAmount.amount), 0);
  if (worth <= 0 || worth < Number(config.minimum ?? 0) * rate) return NOTHING;
  const most = Number(config.maximum) * rate;
  const percentage = Math.min(100, Number(config.percentage));
  if (!(percentage > 0 && most > 0)) return NOTHING;
  const over = (worth * percentage) / 100 > most;
  return discount.discountClasses.includes("PRODUCT")
    ? ofProducts(lines, over ? { fixedAmount: { amount: most.toFixed(2), appliesToEachItem: false } } : percent(percentage))
    : ofOrder(cart, lines, over ? { fixedAmount: { amount: most.toFixed(2) } } : percent(percentage));
}

function entitled({ merchandise }, { products = [], variants = [] }) {
  if (merchandise.__typename !== "ProductVariant" || merchandise.product.isGiftCard) return false;
  const all = !products.length && !variants.length;
  return all || products.includes(merchandise.product.id) || variants.includes(merchandise.id);
}

const percent = (value) => ({ percentage: { value: String(value) } });

function ofOrder(cart, lines, value) {
  const excludedCartLineIds = cart.lines.filter((line) => !lines.includes(line)).map(({ id }) => id);
  const candidates = [{ targets: [{ orderSubtotal: { excludedCartLineIds } }], value }];
  return { operations: [{ orderDiscountsAdd: { selectionStrategy: "FIRST", candidates } }] };
}

function ofProducts(lines, value) {
  const candidates = [{ targets: lines.map(({ id }) => ({ cartLine: { id } })), value }];
  return { operations: [{ productDiscountsAdd: { selectionStrategy: "FIRST", candidates } }] };
}

const tierOf = ({ buyerIdentity }) => buyerIdentity?.customer?.tier?.value;

/** Member prices: what a product's `member_prices` say for the customer's tier, as percent off. */
export function prices({ cart, discount }) {
  const tier = tierOf(cart);
  if (!tier || !discount.discountClasses.includes("PRODUCT")) return NOTHING;
  const targets = new Map();
  for (const { id, merchandise } of cart.lines) {
    const off = merchandise.product?.prices?.jsonValue?.[tier];
    if (typeof off !== "number" || !(off > 0 && off <= 100)) continue;
    targets.set(off, [...(targets.get(off) ?? []), { cartLine: { id } }]);
  }
  if (!targets.size) return NOTHING;
  const candidates = [...targets].map(([off, lines]) => ({
    message: "Member price",
    targets: lines,
    value: percent(off),
  }));
  return { operations: [{ productDiscountsAdd: { selectionStrategy: "ALL", candidates } }] };
}

/** Free shipping for who has it as a perk. Shopify takes the better of two shipping discounts, never both. */
export function shipping({ cart, discount }) {
  const perks = cart.buyerIdentity?.customer?.perks?.jsonValue ?? [];
  if (!perks.includes("free-shipping") || !discount.discountClasses.includes("SHIPPING")) return NOTHING;
  if (!cart.deliveryGroups.length) return NOTHING;
  const targets = cart.deliveryGroups.map(({ id }) => ({ deliveryGroup: { id } }));
  const candidates = [{ message: "Member shipping", targets, value: percent(100) }];
  return { operations: [{ deliveryDiscountsAdd: { selectionStrategy: "ALL", candidates } }] };
}
