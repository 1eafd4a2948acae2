// Asks Rapport in the name of whoever uses the extension, by the session token Shopify makes for each request.

import { APP } from "./address.js";

/**
 * @typedef {{ key: string, name: string, cost: number, discount: boolean, available: boolean, why: string | null,
 *   missing: number | null }} Offer
 * @typedef {{ id: string, key: string, name: string, code: string | null, discount: boolean, status: string,
 *   text: string }} Redeemed
 * @typedef {{ id: string, points: number, pending: number, tier: { key: string, name: string },
 *   next: { name: string, text: string, done: number } | null, perks: string[] }} Member
 * @typedef {{ program: string, currency: string, digits: number, rate: string, multiplier: string,
 *   member: Member | null, rewards: Offer[], waiting: Redeemed[] }} About
 * @typedef {{ validity: string, text: string, may: string[], customer_id: string | null, about: About | null }} Scan
 * @typedef {{ points: { available: number, pending: number }, text: string, balance: number }} Earned
 */

/** Rapport understood and refused: `message` is for people, `code` is stable. */
export class Refused extends Error {
  /**
   * @param {string} message
   * @param {string} code
   */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export class Client {
  /**
   * @param {() => Promise<string | undefined>} token
   * @param {typeof fetch} [send]
   */
  constructor(token, send = (...asked) => fetch(...asked)) {
    this.token = token;
    this.send = send;
  }

  /**
   * @template T
   * @param {string} path
   * @param {unknown} [body] sent as JSON, with POST
   * @returns {Promise<T>}
   */
  async ask(path, body) {
    const token = await this.token();
    const answer = await this.send(`${APP}/extensions/${path}`, {
      method: body ? "POST" : "GET",
      headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refused(said.detail || "", said.code || "away");
    return said;
  }
}

/**
 * Redeem a reward and wait until its code is good. `key` names this one wish: asking again with it takes no second
 * reward, so whoever is unsure whether they were heard asks again.
 * @param {Client} client
 * @param {{ redeem: string, reward: (id: string) => string }} paths
 * @param {{ reward: string, key: string, [more: string]: unknown }} wish
 * @param {(ms: number) => Promise<unknown>} [pause]
 * @returns {Promise<Redeemed>}
 */
export async function redeem(client, paths, wish, pause = (ms) => new Promise((done) => setTimeout(done, ms))) {
  /** @type {Redeemed} */
  let taken = await client.ask(paths.redeem, wish);
  for (const wait of [400, 600, 1000, 1500, 2000, 3000]) {
    if (taken.status !== "issuing") break;
    await pause(wait);
    taken = await client.ask(paths.reward(taken.id));
  }
  if (taken.status === "issuing") throw new Refused("", "slow");
  if (taken.status !== "issued") throw new Refused(taken.text, taken.status);
  return taken;
}
