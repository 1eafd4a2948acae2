// What every face's pages can do beyond their HTML: copy, share, dialogs, notices, and forms that are sent once.
// Listens on the document, so that what htmx brings in later works as well. Other scripts show a notice by an event:
// document.dispatchEvent(new CustomEvent("notice", { detail: { text, tone } })).

const PASSING = 6000; // ms that a notice stays
const SAID = 2000; // ms that a button says that it has copied

const notices = () => document.getElementById("notices");

export function notice(text, tone = "good") {
  const place = notices();
  if (!place || !text) return;
  const shown = document.createElement("div");
  shown.className = `r-toast r-${tone}`;
  shown.textContent = text;
  place.append(shown);
  setTimeout(() => shown.remove(), PASSING);
}

async function copy(button) {
  const label = button.querySelector("span") ?? button;
  const said = label.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.textContent = notices()?.dataset.copied ?? said;
    setTimeout(() => { label.textContent = said; }, SAID);
  } catch {
    notice(button.dataset.copy, "info"); // to be copied by hand
  }
}

async function share(button) {
  const { title, text, url } = button.dataset;
  try {
    await navigator.share({ title, text, url });
  } catch {
    return; // closed without sharing
  }
  button.dispatchEvent(new CustomEvent("shared", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("[data-copy], [data-share], [data-opens], [data-closes]");
  if (!pressed) return;
  if ("copy" in pressed.dataset) copy(pressed);
  if ("share" in pressed.dataset) share(pressed);
  if (pressed.dataset.opens) document.getElementById(pressed.dataset.opens)?.showModal();
  if ("closes" in pressed.dataset) pressed.closest("dialog")?.close();
});

// A form is sent once: a second tap while the first is on its way does nothing. The back button lets it be sent anew.
document.addEventListener("submit", (event) => {
  const form = event.target;
  // This script may be loaded twice, under two addresses: one event counts once.
  if (event.sentBy || (event.defaultPrevented && !form.dataset.sent)) return;
  if (form.method === "dialog" || form.hasAttribute("data-many")) return;
  if (form.dataset.sent) { event.preventDefault(); event.stopImmediatePropagation(); return; }
  event.sentBy = form.dataset.sent = "1";
  event.submitter?.setAttribute("aria-busy", "true");
}, true);

function again(root) {
  for (const form of root.querySelectorAll?.("form[data-sent]") ?? []) free(form);
}

function free(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
}

addEventListener("pageshow", () => again(document));
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest?.("form");
  if (form) free(form);
});
document.addEventListener("htmx:sendError", () => notice(notices()?.dataset.away, "bad"));
document.addEventListener("notice", (event) => notice(event.detail.text, event.detail.tone));

// Buttons that need what not every browser has show themselves where it is there.
function prepare(root) {
  for (const button of root.querySelectorAll?.("[data-copy][hidden]") ?? []) if (navigator.clipboard) button.hidden = false;
  for (const button of root.querySelectorAll?.("[data-share][hidden]") ?? []) if (navigator.share) button.hidden = false;
  for (const passing of root.querySelectorAll?.("[data-passing]") ?? []) setTimeout(() => passing.remove(), PASSING);
}

prepare(document);
document.addEventListener("htmx:load", (event) => prepare(event.target.parentElement ?? document));
