// Run by tests/extensions/test_logic.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { APP } from "./address.js";
import { Client, Refused, redeem } from "./client.js";
import { worth } from "./points.js";
import { earning, numberOf, offers, ready, standing, wish } from "./view.js";

const plain = { rate: "1", multiplier: "1", digits: 2 };

test("points are exact and rounded down once", () => {
  const cases = [
    [16.5, plain, 16],
    ["16.50", { ...plain, multiplier: "1.25" }, 20],
    [79.99, { ...plain, multiplier: "1.5" }, 119],
    // 0.1 x 3 is not 0.3 in binary; 30 points are 30.
    [0.3, { ...plain, rate: "100" }, 30],
    [1480, { rate: "0.01", multiplier: "1.1", digits: 0 }, 16],
    [0, plain, 0],
    [-5, plain, 0],
    [Number.NaN, plain, 0],
  ];
  for (const [amount, earns, points] of cases) assert.equal(worth(amount, earns), points, `${amount}`);
});

const answer = (status, body) => new Response(typeof body === "string" ? body : JSON.stringify(body), { status });
const asking = (answers) => {
  const asked = [];
  const client = new Client(async () => "token", async (url, options) => {
    asked.push([options.method, url, options.headers.Authorization, options.body && JSON.parse(options.body)]);
    return answers.shift();
  });
  return { client, asked };
};

test("each request carries a token of its own", async () => {
  const { client, asked } = asking([answer(200, { program: "Rewards" })]);
  assert.deepEqual(await client.ask("shopper/me"), { program: "Rewards" });
  assert.deepEqual(asked, [["GET", `${APP}/extensions/shopper/me`, "Bearer token", undefined]]);
});

test("a refusal says why, and an answer that is none is one, too", async () => {
  const { client } = asking([answer(409, { detail: "You need 5 more.", code: "points_short" }), answer(502, "<html>")]);
  await assert.rejects(client.ask("x"), (error) => error instanceof Refused && error.code === "points_short");
  await assert.rejects(client.ask("x"), (error) => error instanceof Refused && error.code === "away");
});

const paths = { redeem: "shopper/redeem", reward: (id) => `shopper/rewards/${id}` };
const taken = (status) => ({ id: "9", name: "$5 off", code: "RAP-1", status, text: "It didn't work." });

test("a code is handed on once it is good", async () => {
  const { client, asked } = asking([answer(201, taken("issuing")), answer(200, taken("issuing")), answer(200, taken("issued"))]);
  const waits = [];
  const got = await redeem(client, paths, { reward: "5-off", key: "k" }, async (ms) => waits.push(ms));
  assert.equal(got.code, "RAP-1");
  assert.deepEqual(waits, [400, 600]);
  assert.deepEqual(asked[0][3], { reward: "5-off", key: "k" });
  assert.equal(asked[2][1], `${APP}/extensions/shopper/rewards/9`);
});

test("a code that fails, or is not good in time, is not handed on", async () => {
  const failed = asking([answer(201, taken("failed"))]);
  await assert.rejects(redeem(failed.client, paths, { reward: "5-off", key: "k" }), { code: "failed" });
  const slow = asking(Array.from({ length: 7 }, () => answer(200, taken("issuing"))));
  await assert.rejects(redeem(slow.client, paths, { reward: "5-off", key: "k" }, async () => {}), { code: "slow" });
});

const about = {
  ...plain,
  currency: "USD",
  member: { points: 650, tier: { name: "Advocate" } },
  rewards: [
    { key: "far", cost: 2000, available: false, missing: 1350 },
    { key: "ten", cost: 1000, available: false, missing: 350 },
    { key: "five", cost: 500, available: true, missing: null },
    { key: "three", cost: 300, available: true, missing: null },
    { key: "gone", cost: 100, available: false, missing: null },
  ],
  waiting: [
    { code: "RAP-A", discount: true, status: "issued" },
    { code: "RAP-B", discount: true, status: "issuing" },
    { code: "RAP-C", discount: true, status: "issued" },
    { code: "GIFT", discount: false, status: "issued" },
  ],
};

test("what can be had comes first, then the nearest", () => {
  assert.deepEqual(offers(about).map(({ key }) => key), ["three", "five", "ten", "far"]);
});

test("only good codes that are not on the checkout already are offered", () => {
  assert.deepEqual(ready(about, ["rap-c"]).map(({ code }) => code), ["RAP-A"]);
});

test("points are promised in the shop's own currency only", () => {
  assert.equal(earning(about, 54.9, "USD"), 54);
  assert.equal(earning(about, 54.9, "EUR"), 0);
});

test("standing, ids and wishes", () => {
  assert.equal(standing(about, (points) => `${points} points`), "650 points · Advocate");
  assert.equal(standing({ member: null }, String), "");
  assert.equal(numberOf("gid://shopify/Order/9007199254740993?key=1"), "9007199254740993");
  assert.equal(numberOf("nonsense"), "");
  assert.notEqual(wish(), wish());
  assert.match(wish(), /^[\w-]{1,64}$/);
});
