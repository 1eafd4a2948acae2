// How many points money brings: exactly, with one floor at the end, as the ledger counts.

/**
 * What is told of how orders earn: points for a currency unit, what the tier multiplies them by, and how many decimals
 * the currency has.
 * @typedef {{ rate: string, multiplier: string, digits: number }} Earning
 */

/**
 * A decimal text as a fraction: "1.25" is 125 of 100.
 * @param {string} text
 * @returns {[bigint, bigint]}
 */
function fraction(text) {
  const [whole = "0", rest = ""] = text.split(".");
  return [BigInt(whole + rest), 10n ** BigInt(rest.length)];
}

/**
 * Points for an amount in currency units, such as 16.5 or "16.50".
 * @param {number | string} amount
 * @param {Earning} earning
 */
export function worth(amount, { rate, multiplier, digits }) {
  const units = Number(amount);
  if (!Number.isFinite(units) || units <= 0) return 0;
  const [money, ofMoney] = fraction(units.toFixed(digits));
  const [points, ofPoints] = fraction(rate);
  const [times, ofTimes] = fraction(multiplier);
  return Number((money * points * times) / (ofMoney * ofPoints * ofTimes));
}
