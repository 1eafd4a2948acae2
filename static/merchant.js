// The merchant's pages inside Shopify's admin: every request carries a fresh session token, forms that were changed are
// saved or discarded by one bar, lists select many, and charts say their numbers.

import { notice } from "./faces.js";

const bridge = () => globalThis.shopify;
const kept = new URLSearchParams(location.search);
// What App Bridge needs to know after a page is loaded anew.
const STAYS = ["shop", "host", "embedded"];
let token = null;

// The token is part of the address on the first load only: nobody shall find it in the history.
function withoutToken() {
  const address = new URL(location.href);
  for (const name of ["id_token", "tried", "hmac", "session", "timestamp", "said"]) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
}
withoutToken();

document.addEventListener("htmx:confirm", async (event) => {
  event.preventDefault();
  if (leaving(event.detail.elt)) return;
  try {
    token = await bridge().idToken();
    event.detail.issueRequest(true);
  } catch {
    notice(document.getElementById("notices")?.dataset.away, "bad");
    event.target.dispatchEvent(new CustomEvent("htmx:afterRequest", { bubbles: true, detail: {} }));
  }
});
document.addEventListener("htmx:configRequest", (event) => {
  if (token) event.detail.headers.Authorization = `Bearer ${token}`;
  // What is refused of a form is said in a notice: the form stays as it is.
  if (event.detail.verb !== "get") delete event.detail.headers["HX-Boosted"];
});
document.addEventListener("htmx:beforeHistoryUpdate", (event) => {
  const address = new URL(event.detail.history.path, location.href);
  for (const name of STAYS) if (kept.has(name)) address.searchParams.set(name, kept.get(name));
  event.detail.history.path = address.pathname + address.search;
});
document.addEventListener("htmx:beforeRequest", () => document.documentElement.classList.add("m-working"));
document.addEventListener("htmx:afterRequest", () => document.documentElement.classList.remove("m-working"));
// Refused inputs come back as their own page with an error status: shown like any other.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.boosted || event.target === document.body) window.scrollTo(0, 0);
});

// Forms that are saved by the bar above the page.

const bar = (form) => form.querySelector(".m-save");

function changed(form) {
  const now = new URLSearchParams(new FormData(form)).toString();
  return form.dataset.opened !== undefined && form.dataset.opened !== now;
}

function watch(root) {
  for (const form of root.querySelectorAll?.("form[data-saves]") ?? []) {
    if (form.dataset.opened === undefined) form.dataset.opened = new URLSearchParams(new FormData(form)).toString();
    if (form.dataset.saves === "unsaved") form.dataset.opened = "";
    show(form);
  }
}

function show(form) {
  const place = bar(form);
  if (place) place.hidden = !changed(form);
}

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-saves]");
  if (form) show(form);
});
document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form[data-saves]");
  if (form) show(form);
});
// What comes into a form by itself, such as a picture, changes it, too; and so does a row that goes.
document.addEventListener("htmx:afterSettle", (event) => {
  const form = event.target.closest?.("form[data-saves]");
  if (form) show(form);
});
document.addEventListener("click", (event) => {
  const item = event.target.closest?.("[data-removes]")?.closest("[data-item]");
  if (!item) return;
  const form = item.closest("form");
  const next = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("input") ?? item.parentElement.parentElement.querySelector("button");
  item.remove();
  next?.focus();
  form?.dispatchEvent(new Event("input", { bubbles: true }));
});
document.addEventListener("reset", (event) => setTimeout(() => {
  if (event.target.matches("form[data-saves]")) { depends(event.target); show(event.target); event.target.dispatchEvent(new Event("input", { bubbles: true })); }
}));

// Shopify's own bar doesn't let go either: it shakes until one has saved or discarded.
function leaving(element) {
  const form = [...document.querySelectorAll("form[data-saves]")].find((one) => changed(one) && bar(one));
  if (!form || form.contains(element) || element.closest?.("[data-stays]")) return false;
  const place = bar(form);
  place.classList.remove("m-shakes");
  void place.offsetWidth;
  place.classList.add("m-shakes");
  place.querySelector("button")?.focus();
  return true;
}

// Lists from which many are chosen.

function count(table) {
  const boxes = [...table.querySelectorAll("tbody input[type=checkbox]")];
  const chosen = boxes.filter((box) => box.checked).length;
  const all = table.querySelector("thead input[type=checkbox]");
  if (all) { all.checked = chosen > 0 && chosen === boxes.length; all.indeterminate = chosen > 0 && chosen < boxes.length; }
  const tools = table.closest("form")?.querySelector(".m-bulk");
  if (!tools) return;
  tools.hidden = chosen === 0;
  const said = tools.querySelector("[data-count]");
  if (said) said.textContent = said.dataset.count.replace("#", chosen);
}

document.addEventListener("change", (event) => {
  const table = event.target.closest?.("table[data-many]");
  if (!table) return;
  if (event.target.closest("thead")) for (const box of table.querySelectorAll("tbody input[type=checkbox]")) box.checked = event.target.checked;
  count(table);
});

// A whole row leads to where its first link does.
document.addEventListener("click", (event) => {
  const row = event.target.closest?.("tr[data-row]");
  if (!row || event.target.closest("a, button, input, label, summary")) return;
  row.querySelector("a")?.click();
});

// A file is fetched by the browser itself, under an address that is signed for a minute.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-download]");
  if (!link) return;
  event.preventDefault();
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { headers: { Authorization: `Bearer ${await bridge().idToken()}` } });
    if (!answer.ok) throw new Error(String(answer.status));
    location.assign((await answer.json()).url);
  } catch {
    notice(document.getElementById("notices")?.dataset.away, "bad");
  }
  link.removeAttribute("aria-busy");
});

// Charts: the column under the pointer, or the one the keys have moved to, says its exact number.

function point(chart, column) {
  for (const one of chart.querySelectorAll(".m-on")) one.classList.remove("m-on");
  const said = chart.parentElement.querySelector("[data-says]");
  if (!column) { if (said) said.textContent = said.dataset.says; return; }
  column.classList.add("m-on");
  if (said) said.textContent = column.dataset.said;
}

document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.("svg[data-chart]");
  if (chart) point(chart, event.target.closest("[data-said]"));
});
document.addEventListener("pointerout", (event) => {
  const chart = event.target.closest?.("svg[data-chart]");
  if (chart && !chart.contains(event.relatedTarget)) point(chart, null);
});
document.addEventListener("keydown", (event) => {
  const chart = event.target.closest?.("svg[data-chart]");
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!chart || !step) return;
  event.preventDefault();
  const columns = [...chart.querySelectorAll("[data-said]")];
  const at = columns.findIndex((one) => one.classList.contains("m-on"));
  point(chart, columns[Math.max(0, Math.min(columns.length - 1, at < 0 ? (step > 0 ? 0 : columns.length - 1) : at + step))]);
});

// What a word means goes away with Escape, and comes back when one returns to it.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const word of document.querySelectorAll(".m-term:hover, .m-term:focus-within")) word.classList.add("m-away");
});
for (const back of ["pointerover", "focusin", "pointerdown"]) document.addEventListener(back, (event) => {
  for (const word of document.querySelectorAll(".m-away")) if (back === "pointerdown" || !word.contains(event.relatedTarget)) word.classList.remove("m-away");
});

// Values that only matter for one choice: shown with it.
function depends(root) {
  for (const part of root.querySelectorAll?.("[data-when]") ?? []) {
    const [name, ...values] = part.dataset.when.split(/[=|]/);
    const form = part.closest("form") ?? document;
    const field = form.querySelector(`[name="${CSS.escape(name)}"]:checked`) ?? form.querySelector(`[name="${CSS.escape(name)}"]:not([type=radio], [type=checkbox])`);
    const fits = values.includes(field ? field.value : "");
    part.hidden = !fits;
    for (const input of part.querySelectorAll("input, select, textarea")) input.disabled = !fits;
  }
}
document.addEventListener("change", (event) => { if (event.target.form) depends(event.target.form); });

function prepare(root) {
  depends(root);
  watch(root);
  for (const opened of root.querySelectorAll?.("dialog[data-open]") ?? []) if (!opened.open) opened.showModal();
  for (const said of root.querySelectorAll?.("[data-notice]") ?? []) { notice(said.dataset.notice); said.remove(); }
  for (const table of root.querySelectorAll?.("table[data-many]") ?? []) count(table);
  // App Bridge draws the menu in the admin's own where it can.
  document.documentElement.classList.toggle("m-bridged", Boolean(customElements.get("ui-nav-menu") || customElements.get("s-app-nav")));
}
prepare(document);
document.addEventListener("htmx:load", (event) => prepare(event.target.parentElement ?? document));
