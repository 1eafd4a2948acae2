// The screen is drawn anew when it has changed; opened details stay open.
const screen = document.getElementById("screen");
let last = "";

const look = async () => {
  try {
    const drawn = await (await fetch(screen.dataset.from)).text();
    if (drawn !== last && last) {
      const open = [...screen.querySelectorAll("details[open]")].map((one) => one.dataset.of);
      screen.innerHTML = drawn;
      for (const one of screen.querySelectorAll("details")) one.open = open.includes(one.dataset.of);
    }
    last = drawn;
  } catch {
    // The sandbox is being started again; the next look finds it.
  }
  setTimeout(look, 500);
};

if (screen) look();
