// What there is to show, from what Rapport says. No screen here.

import { worth } from "./points.js";

/**
 * @typedef {import("./client.js").About} About
 * @typedef {import("./client.js").Offer} Offer
 */

/**
 * Rewards to show, those that can be had first, then the nearest; of what can't be had at all now, nothing.
 * @param {About} about
 * @returns {Offer[]}
 */
export function offers({ rewards }) {
  const near = (/** @type {Offer} */ offer) => (offer.available ? 0 : (offer.missing ?? Infinity));
  return rewards
    .filter((offer) => offer.available || offer.missing !== null)
    .sort((one, other) => near(one) - near(other) || one.cost - other.cost);
}

/**
 * Discounts that can go onto this checkout: redeemed before and not used yet, and not on it already.
 * @param {About} about
 * @param {string[]} applied
 */
export function ready({ waiting }, applied) {
  const used = new Set(applied.map((code) => code.toUpperCase()));
  return waiting.filter(({ code, discount, status }) => discount && code && status === "issued" && !used.has(code));
}

/**
 * Points this order is about to bring. What is paid counts: discounts are off already, shipping and tax are not in.
 * @param {About} about
 * @param {number} subtotal in currency units
 * @param {string} currency what the subtotal is in; in another one than the shop's nothing is promised
 */
export function earning(about, subtotal, currency) {
  return currency === about.currency ? worth(subtotal, about) : 0;
}

/**
 * A line on standing: "1,240 points · Advocate".
 * @param {About} about
 * @param {(points: number) => string} counted
 */
export function standing({ member }, counted) {
  return member ? `${counted(member.points)} · ${member.tier.name}` : "";
}

/**
 * The number of a Shopify id: "gid://shopify/Order/12?x=1" is "12".
 * @param {string} gid
 */
export function numberOf(gid) {
  return gid.match(/(\d+)(?:\?.*)?$/)?.[1] ?? "";
}

let wishes = 0;
/** A name for one wish, so that asking for it twice is asking once. */
export function wish() {
  wishes += 1;
  return `${Date.now().toString(36)}-${wishes}-${Math.random().toString(36).slice(2, 12)}`;
}
