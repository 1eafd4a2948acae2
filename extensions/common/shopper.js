// Where checkout and account pages ask, and how they say what went wrong.

import { Client, Refused } from "./client.js";

export const PATHS = { redeem: "shopper/redeem", reward: (/** @type {string} */ id) => `shopper/rewards/${id}` };

/** @param {{ sessionToken: { get(): Promise<string> } }} api */
export const clientOf = (api) => new Client(() => api.sessionToken.get());

/**
 * A sentence for the shopper: Rapport's own, or one of the extension's (`slow`, `away`).
 * @param {unknown} error
 * @param {(key: string) => string} say
 */
export function sorry(error, say) {
  if (!(error instanceof Refused) || error.code === "away") return say("away");
  return error.message || say("slow");
}
