// Keeps the live view current: asks every 700 ms whether anything changed, and shows what did.

const EVERY = 700; // ms
const COUNTING = 180; // ms
const NOTICE = 2500; // ms that what is new stays marked

const view = document.querySelector("[data-live]");
const status = document.querySelector("[data-status]");
const news = document.querySelector("[data-news]");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let version = "";
let asking = false;

const STATUS = {
  live: "Watching",
  paused: "Paused while this tab is hidden",
  away: "We can't reach Rapport just now. Nothing is lost; trying again.",
};

function tell(state) {
  if (status.dataset.state === state) return;
  status.dataset.state = state;
  status.textContent = STATUS[state];
}

async function look() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(view.dataset.live, {
      cache: "no-store",
      headers: version ? { "If-None-Match": version } : {},
      signal: AbortSignal.timeout(8000),
    });
    if (answer.status === 200) show(await answer.text(), answer.headers.get("ETag") ?? "");
    tell(answer.ok || answer.status === 304 ? "live" : "away");
  } catch {
    tell("away");
  } finally {
    asking = false;
  }
}

function show(html, tag) {
  const first = !version;
  version = tag;
  const before = remember();
  const next = document.createElement("template");
  next.innerHTML = html;
  view.replaceChildren(next.content);
  restore(before);
  if (!first) announce(before);
}

// New elements take the old ones' place, so the page never shifts; what the reader was doing is carried over.

const all = (name) => [...view.querySelectorAll(`[data-${name}]`)];

function remember() {
  return {
    focus: document.activeElement?.dataset?.focus ?? document.activeElement?.dataset?.scroll,
    scroll: new Map(all("scroll").map((box) => [box.dataset.scroll, box.scrollTop])),
    keys: new Set(all("key").map((row) => row.dataset.key)),
    counts: new Map(all("count").map((number) => [number.dataset.count, Number(number.value)])),
    rings: new Map(all("ring").map((ring) => [ring.dataset.ring, ring.getAttribute("stroke-dasharray")])),
  };
}

function restore(before) {
  for (const box of all("scroll")) box.scrollTop = before.scroll.get(box.dataset.scroll) ?? 0;
  for (const number of all("count")) count(number, before.counts.get(number.dataset.count));
  for (const ring of all("ring")) fill(ring, before.rings.get(ring.dataset.ring));
  if (!before.focus) return;
  const named = CSS.escape(before.focus);
  view.querySelector(`[data-focus="${named}"], [data-scroll="${named}"]`)?.focus({ preventScroll: true });
}

function count(number, from) {
  const to = Number(number.value);
  if (from === undefined || from === to || calm.matches) return;
  const began = performance.now();
  const step = (now) => {
    const part = Math.min(1, Math.max(0, (now - began) / COUNTING));
    number.textContent = Math.round(from + (to - from) * part).toLocaleString("en-US");
    if (part < 1 && number.isConnected) requestAnimationFrame(step);
  };
  step(began);
}

function fill(ring, from) {
  const to = ring.getAttribute("stroke-dasharray");
  if (from === undefined || from === to) return;
  ring.setAttribute("stroke-dasharray", from);
  ring.getBoundingClientRect(); // lays it out as it was, so that the change is a transition
  ring.setAttribute("stroke-dasharray", to);
}

function announce(before) {
  const fresh = all("key").filter((row) => !before.keys.has(row.dataset.key));
  for (const row of fresh) row.classList.add("fresh");
  setTimeout(() => fresh.forEach((row) => row.classList.remove("fresh")), NOTICE);
  if (fresh.some((row) => row.closest(".feed"))) {
    news.textContent = all("say").map((line) => line.textContent).join(" ");
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) tell("paused");
  else look();
});
setInterval(look, EVERY);
look();
