// What a page for friends can do beyond what its HTML does: copy, share, count shares, and notice when a code is ready.

const SAID = 2000; // ms that a button says that it has copied
const EVERY = 1500; // ms between two looks at whether a code is ready
const MOST = 20; // looks

const words = document.body.dataset;
const counted = document.querySelector("[data-shared]")?.dataset.shared;

function count(via) {
  if (counted && via) navigator.sendBeacon(counted, new URLSearchParams({ via }));
}

async function copy(button) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = words.copied;
  } catch {
    button.textContent = words.uncopied;
  }
  count(button.dataset.via);
  setTimeout(() => { button.textContent = said; }, SAID);
}

async function share(button) {
  const { title, text, url } = button.dataset;
  try {
    await navigator.share({ title, text, url });
    count(button.dataset.via);
  } catch {
    // Closed without sharing.
  }
}

async function wait(place, looks = 0) {
  try {
    const answer = await fetch(place.dataset.ready, { headers: { Accept: "application/json" } });
    const { state } = await answer.json();
    if (state === "made") place.textContent = words.made;
    else if (state !== "making") location.reload();
    if (state !== "making") return;
  } catch {
    // Away for a moment; the next look may find it.
  }
  if (looks < MOST) setTimeout(() => wait(place, looks + 1), EVERY);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
for (const button of document.querySelectorAll("[data-share]")) {
  if (!navigator.share) continue;
  button.hidden = false;
  button.addEventListener("click", () => share(button));
}
for (const scan of document.querySelectorAll(".scan")) scan.open = matchMedia("(min-width: 56rem)").matches;
for (const link of document.querySelectorAll("a[data-via]")) link.addEventListener("click", () => count(link.dataset.via));
for (const field of document.querySelectorAll("[data-link]")) field.addEventListener("focus", () => field.select());
for (const place of document.querySelectorAll("[data-ready]")) if (place.dataset.ready) wait(place);
