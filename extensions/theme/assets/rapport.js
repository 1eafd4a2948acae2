// What members have, shown where a theme has room. Asks the shop's own /apps/rewards, and nothing while no block is there.
// A shop that moved its app proxy sets window.rapportProxy.
(() => {
  if (window.rapport) return;
  const proxy = () => window.rapportProxy || "/apps/rewards";
  const root = () => window.Shopify?.routes?.root || "/";
  const NOTED = "rapport_ref";
  const FRESH = 60_000; // ms

  const number = (value) => new Intl.NumberFormat(document.documentElement.lang || undefined).format(value);
  // Names keep their order in a text that runs from right to left.
  const own = (text) => (document.dir === "rtl" ? `\u2068${text}\u2069` : text);
  const filled = (text, values) =>
    Object.entries(values).reduce((so, [name, value]) => so.replaceAll(`[${name}]`, own(value)), text || "");
  const counted = (data, points) => filled(points === 1 ? data.one : data.other, { points: number(points) });

  const ask = async (path, options) => {
    const answer = await fetch(`${proxy()}/api/${path}`, { headers: { Accept: "application/json" }, ...options });
    const body = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(body.detail), body);
    return body;
  };

  // One question for all blocks of a page, and for the next page.
  const waiting = new Map();
  const me = (customer) => {
    const key = `rapport:${customer || ""}`;
    try {
      const kept = JSON.parse(sessionStorage.getItem(key));
      if (kept && Date.now() - kept.at < FRESH) return Promise.resolve(kept.said);
    } catch {}
    if (!waiting.has(key)) {
      const asked = ask("me").then((said) => {
        try {
          sessionStorage.setItem(key, JSON.stringify({ at: Date.now(), said }));
        } catch {}
        return said;
      });
      asked.catch(() => {}).then(() => waiting.delete(key));
      waiting.set(key, asked);
    }
    return waiting.get(key);
  };
  const forget = (customer) => {
    try {
      sessionStorage.removeItem(`rapport:${customer || ""}`);
    } catch {}
  };

  // Exact: "1.25" is 125 of 100. One floor, at the end, as the ledger does it.
  const parts = (text) => {
    const [whole, rest = ""] = String(text).split(".");
    return [BigInt(whole + rest), 10n ** BigInt(rest.length)];
  };
  const worth = (cents, { rate, multiplier, digits }) => {
    const foreign = Number(window.Shopify?.currency?.rate || 1);
    // Liquid's prices count hundredths in every currency.
    const [a, b] = parts((Math.max(0, cents) / 100 / foreign).toFixed(digits));
    const [c, d] = parts(rate);
    const [e, f] = parts(multiplier);
    return Number((a * c * e) / (b * d * f));
  };

  const block = (name, show) =>
    customElements.define(
      name,
      class extends HTMLElement {
        connectedCallback() {
          this.leaving = new AbortController();
          // A block that can't say anything says nothing.
          Promise.resolve(show(this, this.dataset, this.leaving.signal)).catch(() => {});
        }
        disconnectedCallback() {
          this.leaving.abort();
        }
      },
    );

  block("rapport-launcher", async (element, data) => {
    if (!data.customer) return;
    const { member } = await me(data.customer);
    if (member) element.firstElementChild.textContent = counted(data, member.points);
  });

  block("rapport-earn", async (element, data, signal) => {
    const prices = JSON.parse(element.querySelector("script").textContent);
    const said = await me(data.customer);
    const show = () => {
      const chosen =
        document.querySelector('form[action*="/cart/add"] [name="id"]')?.value ||
        new URLSearchParams(location.search).get("variant");
      const points = worth(prices[chosen] ?? Number(data.price), said);
      element.querySelector("span").textContent = points ? counted(data, points) : "\u00a0";
    };
    document.addEventListener("change", () => setTimeout(show), { signal });
    show();
  });

  // Themes don't tell when the cart changes; the browser notes what they fetch.
  const onCart = (then, signal) => {
    const changes = /\/cart\/(add|change|update|clear)/;
    const seen = new PerformanceObserver((list) => list.getEntries().some(({ name }) => changes.test(name)) && then());
    seen.observe({ type: "resource" });
    signal.addEventListener("abort", () => seen.disconnect());
  };

  block("rapport-cart", async (element, data, signal) => {
    const said = await me(data.customer);
    const [earns, bar, next] = element.children;
    const show = (cents) => {
      const points = worth(cents, said);
      const all = points + (said.member?.points || 0);
      earns.textContent = points ? counted(data, points) : "\u00a0";
      const goal = said.rewards.filter(({ cost }) => cost).sort((one, other) => one.cost - other.cost);
      const ahead = goal.find(({ cost }) => cost > all);
      const reached = goal.filter(({ cost }) => cost <= all).pop();
      bar.hidden = !ahead || !points;
      if (ahead) bar.style.setProperty("--rapport-done", all / ahead.cost);
      const left = ahead && filled(data.more, { points: number(ahead.cost - all), reward: ahead.name });
      next.textContent = (points && (left || (reached && filled(data.reached, { reward: reached.name })))) || "\u00a0";
    };
    show(Number(data.price));
    onCart(async () => {
      const cart = await (await fetch(`${root()}cart.js`)).json();
      show(cart.items_subtotal_price);
    }, signal);
  });

  block("rapport-rewards", async (element, data) => {
    const list = element.querySelector("ul");
    const status = element.querySelector("[role=status]");
    const made = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text, ...more });
    const button = (text, press) => {
      const one = made("button", text, { type: "button", className: "rapport-button" });
      one.addEventListener("click", () => press(one));
      return one;
    };
    const balance = ({ member }) => {
      const [points, tier, bar] = element.children;
      if (!data.customer) return;
      const next = member?.next;
      points.textContent = counted(data, member?.points || 0);
      tier.textContent = [member?.tier.name, next?.text].filter(Boolean).join(" · ");
      bar.hidden = !next;
      bar.style.setProperty("--rapport-done", next?.done || 0);
    };
    const row = (reward, said) => {
      const line = made("li", "");
      const words = made("span", own(reward.name));
      const what = reward.why && said.member ? reward.why : filled(data.cost, { points: number(reward.cost) });
      words.append(made("p", what, { className: "rapport-quiet rapport-number" }));
      line.append(words);
      if (reward.available) {
        const text = filled(data.redeem, { reward: reward.name });
        // The same key takes no second reward.
        const key = crypto.randomUUID();
        line.append(button(text, (pressed) => redeem(reward, pressed, key)));
      }
      return line;
    };
    const redeem = async (reward, pressed, key) => {
      if (pressed.getAttribute("aria-busy")) return;
      pressed.setAttribute("aria-busy", "true");
      status.textContent = "";
      try {
        const taken = await ask("redeem", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ reward: reward.key, key }),
        });
        forget(data.customer);
        status.textContent = filled(data.yours, { reward: taken.name }) + " ";
        if (taken.code) {
          status.append(made("b", taken.code, { className: "rapport-code" }), " ");
          const use = `${root()}discount/${encodeURIComponent(taken.code)}?redirect=${encodeURIComponent("/cart")}`;
          if (taken.discount) status.append(made("a", data.use, { href: use }));
        } else status.append(taken.text);
        await load();
      } catch (error) {
        status.textContent = error.code ? error.message : data.failed;
        pressed.removeAttribute("aria-busy");
      }
    };
    const load = async () => {
      const said = await me(data.customer);
      balance(said);
      list.replaceChildren(...said.rewards.map((reward) => row(reward, said)));
      if (!said.rewards.length) list.append(made("li", data.empty));
    };
    const begin = () =>
      load().catch(() => {
        const again = button(data.again, begin);
        list.replaceChildren(made("li", data.failed));
        list.firstChild.append(again);
      });
    await begin();
  });

  // Who brought the shopper: the code they came by goes along with the cart.
  const asked = new URLSearchParams(location.search).get(NOTED);
  if (asked && /^[\w-]{1,40}$/.test(asked)) {
    fetch(`${root()}cart/update.js`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ attributes: { [NOTED]: asked } }),
    }).then((answer) => answer.text(), () => {});
  }

  block("rapport-friend", async (element, data, signal) => {
    if (!asked) return;
    const key = `rapport:friend:${asked}`;
    if (sessionStorage.getItem(key)) return;
    const offer = await ask(`friend?code=${encodeURIComponent(asked)}`);
    const [words, link, close] = element.children;
    words.textContent = offer.text;
    link.href = offer.url;
    const away = () => {
      element.hidden = true;
      sessionStorage.setItem(key, "1");
    };
    close.addEventListener("click", away, { signal });
    element.addEventListener("keydown", (event) => event.key === "Escape" && away(), { signal });
    element.hidden = false;
  });

  block("rapport-gate", (element, data, signal) => {
    const shut = () =>
      document
        .querySelectorAll('form[action*="/cart/add"] [type="submit"]')
        .forEach((button) => Object.assign(button, { disabled: true }));
    shut();
    // Themes draw buttons anew for a variant.
    document.addEventListener("change", () => setTimeout(shut, 300), { signal });
  });

  window.rapport = { worth };
})();
