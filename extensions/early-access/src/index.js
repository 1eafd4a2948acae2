// Shopify runs this at the cart and the checkout; an error at the checkout keeps the order from being placed.

/**
 * Products that open to some members first. In the cart they may wait: who somebody is shows at the checkout, and their
 * tier may change until then.
 */
export function validate({ buyerJourney, cart }) {
  if (buyerJourney.step === "CART_INTERACTION" || cart.buyerIdentity?.customer?.early) return { operations: [] };
  const kept = cart.lines.filter(({ merchandise }) => merchandise.product?.early).map(({ merchandise }) => merchandise);
  const titles = [...new Set(kept.map(({ product }) => product.title))];
  const errors = titles.map((title) => ({
    message: `${title} is for members with early access just now. Sign in with their account, or leave it for later.`,
    target: "$.cart",
  }));
  return { operations: errors.length ? [{ validationAdd: { errors } }] : [] };
}
