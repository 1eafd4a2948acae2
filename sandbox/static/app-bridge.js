// Stands in for Shopify's App Bridge. It runs in the app's page and speaks with the admin that frames it, which is at
// the origin this script came from; nobody else is answered.
(() => {
  const admin = new URL(document.currentScript.src).origin;
  const framed = window.parent !== window;
  const address = new URL(location.href);
  const waiting = new Map();
  let asked = 0;

  const tell = (type, data = {}) => { if (framed) window.parent.postMessage({ bridge: 1, type, ...data }, admin); };
  const ask = (type) => new Promise((resolve, reject) => {
    if (!framed) { reject(new Error("This page is not inside the Shopify admin.")); return; }
    const id = ++asked;
    waiting.set(id, { resolve, reject });
    tell(type, { id });
  });

  // A new page: what the one before had drawn is over.
  tell("fresh");

  // Session tokens, and requests to the app itself that carry one.
  const idToken = () => ask("id-token");
  const sendOut = window.fetch.bind(window);
  window.fetch = async (resource, options) => {
    const request = new Request(resource, options);
    if (!framed || new URL(request.url).origin !== location.origin || request.headers.has("Authorization")) return sendOut(request);
    const again = request.clone();
    request.headers.set("Authorization", `Bearer ${await idToken()}`);
    const answer = await sendOut(request);
    if (answer.status !== 401 || !answer.headers.has("X-Shopify-Retry-Invalid-Session-Request")) return answer;
    again.headers.set("Authorization", `Bearer ${await idToken()}`);
    return sendOut(again);
  };

  // What the admin draws for the app. Each part is described to it, and what is pressed there comes back by its place.
  const parts = new Map();
  let named = 0;
  function describe(element) {
    const pressed = [...element.querySelectorAll("button, a, s-link, s-button")];
    return pressed.map((one) => ({
      label: one.textContent.trim(), href: one.getAttribute("href"), primary: one.getAttribute("variant") === "primary",
      home: one.getAttribute("rel") === "home", disabled: one.hasAttribute("disabled"),
    }));
  }
  class Part extends HTMLElement {
    connectedCallback() {
      this.hidden = true;
      this.part_ = this.part_ || `part-${++named}`;
      parts.set(this.part_, this);
      this.watch_ = this.watch_ || new MutationObserver(() => this.draw());
      this.watch_.observe(this, { attributes: true, childList: true, subtree: true, characterData: true });
      queueMicrotask(() => this.draw());
    }
    disconnectedCallback() {
      this.watch_.disconnect();
      parts.delete(this.part_);
      tell("gone", { part: this.part_, kind: this.localName });
    }
    draw() {
      if (!this.isConnected) return;
      tell("part", { part: this.part_, kind: this.localName, title: this.getAttribute("title") ?? document.title, items: describe(this), here: location.pathname });
    }
    press(at) { this.querySelectorAll("button, a, s-link, s-button")[at]?.click(); }
  }
  class Bar extends Part {
    draw() { if (this.shown_) super.draw(); else tell("gone", { part: this.part_, kind: this.localName }); }
    show() { this.shown_ = true; this.draw(); this.dispatchEvent(new Event("show")); return Promise.resolve(); }
    hide() { this.shown_ = false; this.draw(); this.dispatchEvent(new Event("hide")); return Promise.resolve(); }
    toggle() { return this.shown_ ? this.hide() : this.show(); }
    get showing() { return Boolean(this.shown_); }
  }
  for (const [name, kind] of [["ui-title-bar", Part], ["ui-nav-menu", Part], ["s-app-nav", class extends Part {}], ["ui-save-bar", Bar]]) {
    if (!customElements.get(name)) customElements.define(name, kind === Part ? class extends Part {} : kind);
  }

  // A form that says `data-save-bar` has a bar as soon as it is changed.
  const formPart = (form) => `form-${[...document.forms].indexOf(form)}`;
  const edited = (event) => {
    const form = event.target.closest?.("form[data-save-bar]");
    // Drawn once: a bar that is drawn anew while it is being pressed is never pressed.
    if (!form || parts.has(formPart(form))) return;
    parts.set(formPart(form), { press: (at) => (at === 0 ? form.requestSubmit() : form.reset()) });
    tell("part", { part: formPart(form), kind: "ui-save-bar", items: [{ label: "Save", primary: true }, { label: "Discard" }] });
  };
  const settled = (event) => {
    if (!event.target.matches?.("form[data-save-bar]")) return;
    parts.delete(formPart(event.target));
    tell("gone", { part: formPart(event.target), kind: "ui-save-bar" });
  };
  document.addEventListener("input", edited);
  document.addEventListener("change", edited);
  document.addEventListener("submit", settled);
  document.addEventListener("reset", settled);

  // The address bar shows where in the app one is.
  const here = () => tell("here", { path: location.pathname, search: location.search, title: document.title });
  for (const name of ["pushState", "replaceState"]) {
    const change = history[name].bind(history);
    history[name] = (...how) => { change(...how); here(); };
  }
  window.addEventListener("popstate", here);
  window.addEventListener("hashchange", here);
  document.addEventListener("DOMContentLoaded", here);

  window.addEventListener("message", (event) => {
    if (event.origin !== admin || event.source !== window.parent || event.data?.bridge !== 1) return;
    const said = event.data;
    if (said.type === "answer") {
      const one = waiting.get(said.id);
      waiting.delete(said.id);
      if (said.error) one?.reject(new Error(said.error)); else one?.resolve(said.value);
    } else if (said.type === "press") parts.get(said.part)?.press(said.at);
    else if (said.type === "toast-action") toasts.get(said.id)?.onAction?.();
  });

  const toasts = new Map();
  const bars = (act) => (id) => document.getElementById(id)?.[act]?.() ?? Promise.reject(new Error(`There is no save bar ${id}.`));
  window.shopify = {
    config: {
      apiKey: document.querySelector("meta[name=shopify-api-key]")?.content ?? "",
      shop: address.searchParams.get("shop") ?? "", host: address.searchParams.get("host") ?? "",
      locale: address.searchParams.get("locale") ?? "en",
    },
    environment: { embedded: framed, mobile: false, intent: false, pos: false },
    ready: Promise.resolve(),
    idToken,
    loading: (on = true) => tell("loading", { on: Boolean(on) }),
    toast: {
      show(text, how = {}) {
        const id = `toast-${++named}`;
        toasts.set(id, how);
        tell("toast", { id, text: String(text), bad: Boolean(how.isError), lasts: how.duration ?? 5000, action: how.action ?? "" });
        return id;
      },
      hide(id) { tell("toast-gone", { id }); },
    },
    saveBar: {
      show: bars("show"), hide: bars("hide"), toggle: bars("toggle"),
      // Asked before leaving a page: resolves once nothing is left to save.
      leaveConfirmation: () => ask("leave"),
    },
  };
})();
