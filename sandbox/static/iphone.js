// The screen is drawn anew when it has changed; a card that lies on its face stays so.
const screen = document.getElementById("screen");
const flipped = new Set();

const dress = () => {
  for (const card of screen.querySelectorAll(".card")) {
    const front = card.querySelector(".front");
    front.style.background = card.dataset.background;
    front.style.color = card.dataset.foreground;
    front.style.setProperty("--label", card.dataset.label);
    const strip = card.querySelector(".strip");
    strip.style.backgroundImage = `url("${strip.dataset.strip}")`;
    card.classList.toggle("flipped", flipped.has(card.dataset.serial));
  }
};

const values = () =>
  new Map([...screen.querySelectorAll(".card dd")].map((dd) => [`${dd.closest(".card").dataset.serial} ${dd.dataset.key}`, dd]));

const newest = () => Math.max(0, ...[...screen.querySelectorAll(".note")].map((note) => Number(note.dataset.at)));

const draw = (drawn) => {
  const before = new Map([...values()].map(([key, dd]) => [key, dd.textContent]));
  const seen = newest();
  const read = screen.querySelector(".flipped .back")?.scrollTop ?? 0;
  screen.innerHTML = drawn;
  dress();
  const back = screen.querySelector(".flipped .back");
  if (back) back.scrollTop = read;
  for (const [key, dd] of values()) dd.classList.toggle("changed", before.has(key) && before.get(key) !== dd.textContent);
  for (const note of screen.querySelectorAll(".note")) note.classList.toggle("new", Number(note.dataset.at) > seen);
};

screen.addEventListener("click", (event) => {
  const card = event.target.closest(".flip")?.closest(".card");
  if (!card) return;
  const { serial } = card.dataset;
  if (!flipped.delete(serial)) flipped.add(serial);
  card.classList.toggle("flipped", flipped.has(serial));
  card.querySelector(flipped.has(serial) ? ".back .flip" : ".front .flip").focus();
});

let last = "";

const look = async () => {
  try {
    const drawn = await (await fetch(screen.dataset.from)).text();
    if (last && drawn !== last) draw(drawn);
    last = drawn;
  } catch {
    // The sandbox is being started again; the next look finds it.
  }
  setTimeout(look, 500);
};

dress();
look();
