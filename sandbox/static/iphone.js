// The screen is drawn anew when it has changed; an open back stays open.
const screen = document.getElementById("screen");

const dress = () => {
  for (const card of screen.querySelectorAll(".card")) {
    card.style.background = card.dataset.background;
    card.style.color = card.dataset.foreground;
    card.style.setProperty("--label", card.dataset.label);
    const strip = card.querySelector(".primary");
    strip.style.backgroundImage = `url("${strip.dataset.strip}")`;
  }
};

let last = "";

const look = async () => {
  try {
    const drawn = await (await fetch(screen.dataset.from)).text();
    if (drawn !== last && last && !screen.querySelector("details[open]")) {
      screen.innerHTML = drawn;
      dress();
    }
    last = drawn;
  } catch {
    // The sandbox is being started again; the next look finds it.
  }
  setTimeout(look, 500);
};

dress();
look();
