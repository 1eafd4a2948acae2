// The rewards pages do all of this without it, too, only with a whole page each time: forms are sent calmly (what could
// not be sent is kept and said, and may be sent again: it counts once), older history comes in place, numbers count up,
// and a reward that is being made shows itself when it is ready.

import { notice } from "./faces.js";

const COUNTING = 160; // ms
const LOOKS = [1000, 1500, 2500, 4000, 8000, 15000]; // ms between looks at what is being made; the last goes on
const MOST_LOOKS = 40;

const place = () => document.querySelector("[data-portal]");
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
let looked = 0;
let next = 0;

// A theme says nowhere whether its ground is dark, but the colour of its text does: ours is inherited from it.
function suit(root) {
  if (!root?.classList.contains("themed")) return;
  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  pixel.fillStyle = getComputedStyle(root).color;
  pixel.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
  root.removeAttribute("data-suited"); // nothing fades from one ground to the other
  root.classList.toggle("dark", 0.299 * red + 0.587 * green + 0.114 * blue > 150);
  root.getBoundingClientRect();
  requestAnimationFrame(() => { root.dataset.suited = ""; });
}

function numberOf(root) {
  return Number(root?.querySelector("[data-count]")?.dataset.count ?? NaN);
}

function count(element, from, to) {
  const final = element.textContent;
  const began = performance.now();
  const format = new Intl.NumberFormat(element.closest("[lang]")?.lang || "en");
  const step = (now) => {
    const done = Math.min(1, (now - began) / COUNTING);
    element.textContent = done < 1 ? format.format(Math.round(from + (to - from) * done)) : final;
    if (done < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

// A tap that passes the link on is counted for the merchant: that there was one, and nothing of who or to whom. One that
// comes again at once is the same.
const SAME = 2000; // ms
let lastShared = -SAME;

function shared(event) {
  const address = event.target.closest?.("[data-shared]")?.dataset.shared;
  const passes = event.type === "shared" || event.target.closest?.("[data-copy], a[target=_blank]");
  if (!address || !passes || event.counted || performance.now() - lastShared < SAME) return;
  event.counted = true; // this script may be loaded twice, under two addresses
  lastShared = performance.now();
  navigator.sendBeacon(address, new URLSearchParams());
}
for (const way of ["click", "shared"]) document.addEventListener(way, shared);

// The page that came back, in the place of the one that is there.
function show(html, url, { keep = false } = {}) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-portal]");
  const old = place();
  if (!fresh || !old) { location.assign(url); return; }
  const before = numberOf(old);
  const opened = [...old.querySelectorAll("details[open]")].map((one) => one.querySelector("summary")?.textContent);
  const words = document.getElementById("notices");
  old.replaceWith(document.adoptNode(fresh));
  suit(fresh);
  if (words && !document.getElementById("notices")) fresh.append(words);
  for (const one of fresh.querySelectorAll("details")) if (opened.includes(one.querySelector("summary")?.textContent)) one.open = true;
  fresh.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true })); // faces.js prepares what came in
  const number = fresh.querySelector("[data-count]");
  if (number && !Number.isNaN(before) && before !== numberOf(fresh) && !still()) count(number, before, numberOf(fresh));
  if (url) history.replaceState(null, "", url);
  if (keep) return;
  const said = fresh.querySelector("[data-said]");
  said?.focus({ preventScroll: true });
  said?.scrollIntoView({ block: "center", behavior: still() ? "auto" : "smooth" });
}

// The page that an answer is, or leads on to, with its address; a refusal leaves the address as it was.
async function answered(answer) {
  const html = await answer.text();
  const onward = new DOMParser().parseFromString(html, "text/html").querySelector("[data-onward]");
  if (!onward) return [html, answer.ok ? answer.url : ""];
  const next = await fetch(onward.getAttribute("href"), { credentials: "same-origin" });
  return [await next.text(), new URL(onward.getAttribute("href"), location).href];
}

async function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  form.dataset.sent = "1";
  submitter?.setAttribute("aria-busy", "true");
  place()?.setAttribute("aria-busy", "true");
  try {
    const [html, url] = await answered(await fetch(form.action, { method: "POST", body, credentials: "same-origin" }));
    looked = 0;
    show(html, url);
    watch();
  } catch {
    notice(document.getElementById("notices")?.dataset.away, "bad");
  } finally {
    delete form.dataset.sent;
    submitter?.removeAttribute("aria-busy");
    place()?.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-calm") || event.defaultPrevented) return;
  event.preventDefault();
  send(form, event.submitter);
});

async function older(link) {
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const lines = page.querySelectorAll(`${link.dataset.more} > *`);
    const first = lines[0];
    document.querySelector(link.dataset.more)?.append(...lines);
    const next = page.querySelector("[data-more]");
    if (next) link.href = next.getAttribute("href");
    else link.remove();
    if (first) { first.tabIndex = -1; first.focus({ preventScroll: true }); }
  } catch {
    notice(document.getElementById("notices")?.dataset.away, "bad");
  } finally {
    link.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-more]");
  if (!link || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  older(link);
});

function watch() {
  clearTimeout(next); // one look after another, whoever asks for it
  if (!document.querySelector("[data-waiting]") || looked >= MOST_LOOKS) return;
  next = setTimeout(async () => {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.ok && !place()?.contains(document.activeElement?.closest("form"))) show(await answer.text(), "", { keep: true });
    } catch { /* looked for again */ }
    watch();
  }, LOOKS[Math.min(looked++, LOOKS.length - 1)]);
}

suit(place());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => suit(place()));
watch();
if (new URLSearchParams(location.search).has("got") || document.querySelector("[role=alert][data-said]")) {
  document.querySelector("[data-said]")?.focus({ preventScroll: true });
}
