// The admin around an app: answers its App Bridge, and draws the app's menu, title, save bar and toasts.

const frame = document.querySelector("iframe");
const { app, home, base } = frame.dataset;
const ours = new Set(["embedded", "shop", "host", "hmac", "id_token", "session", "timestamp", "locale", "tried"]);
const find = (selector) => document.querySelector(selector);
const say = (message) => frame.contentWindow.postMessage({ bridge: 1, ...message }, app);

function button(part, item, at) {
  const made = document.createElement(item.href ? "a" : "button");
  made.textContent = item.label;
  if (item.href) made.href = base + item.href.replace(home, "");
  else made.type = "button";
  if (item.primary) made.className = "primary";
  made.toggleAttribute("disabled", Boolean(item.disabled));
  made.addEventListener("click", (event) => { event.preventDefault(); say({ type: "press", part, at }); });
  return made;
}

const draw = {
  "ui-title-bar"(said) {
    find(".title b").textContent = said.title;
    find(".title .actions").replaceChildren(...said.items.map((item, at) => button(said.part, item, at)));
  },
  "ui-nav-menu"(said) {
    const links = said.items.map((item, at) => {
      if (item.home) return null;
      const made = button(said.part, item, at);
      if (item.href && new URL(item.href, app).pathname === said.here) made.setAttribute("aria-current", "page");
      const row = document.createElement("li");
      row.append(made);
      return row;
    });
    find(".app-menu").replaceChildren(...links.filter(Boolean));
  },
  "ui-save-bar"(said) {
    const bar = find(".save-bar");
    bar.dataset.part = said.part;
    bar.hidden = false;
    bar.querySelector(".actions").replaceChildren(...said.items.map((item, at) => button(said.part, item, at)).reverse());
  },
};
draw["s-app-nav"] = draw["ui-nav-menu"];

const gone = {
  "ui-title-bar"() { find(".title b").textContent = ""; find(".title .actions").replaceChildren(); },
  "ui-save-bar"(said) { if (find(".save-bar").dataset.part === said.part) find(".save-bar").hidden = true; },
};

const toasts = new Map();
function toast(said) {
  const note = document.createElement("p");
  note.className = said.bad ? "toast bad" : "toast";
  note.textContent = said.text;
  if (said.action) {
    const act = document.createElement("button");
    act.type = "button";
    act.textContent = said.action;
    act.addEventListener("click", () => { say({ type: "toast-action", id: said.id }); note.remove(); });
    note.append(act);
  }
  find(".toasts").append(note);
  toasts.set(said.id, note);
  setTimeout(() => note.remove(), Math.min(said.lasts, 60000));
}

async function token(id) {
  try {
    const answer = await fetch(`${base.replace("/apps/rapport", "")}/session-token`, { method: "POST" });
    if (!answer.ok) throw new Error(String(answer.status));
    say({ type: "answer", id, value: (await answer.json()).session_token });
  } catch {
    say({ type: "answer", id, error: "The admin does not answer." });
  }
}

function leave(id) {
  const bar = find(".save-bar");
  if (!bar.hidden && !window.confirm("Leave page with unsaved changes?")) say({ type: "answer", id, error: "Stay" });
  else say({ type: "answer", id, value: true });
}

function here(said) {
  if (!said.path.startsWith(home)) return;
  const query = new URLSearchParams(said.search);
  for (const name of ours) query.delete(name);
  const text = query.toString();
  history.replaceState(null, "", base + said.path.slice(home.length) + (text ? `?${text}` : ""));
  document.title = said.title || "Rapport";
}

function fresh() {
  gone["ui-title-bar"]();
  find(".save-bar").hidden = true;
  find(".loading").hidden = true;
}

const heard = {
  fresh,
  "id-token": (said) => token(said.id),
  leave: (said) => leave(said.id),
  part: (said) => draw[said.kind]?.(said),
  gone: (said) => gone[said.kind]?.(said),
  toast,
  "toast-gone": (said) => toasts.get(said.id)?.remove(),
  loading: (said) => { find(".loading").hidden = !said.on; },
  here,
};

frame.addEventListener("load", () => { find(".loading").hidden = true; });
window.addEventListener("message", (event) => {
  if (event.source !== frame.contentWindow || event.origin !== app || event.data?.bridge !== 1) return;
  heard[event.data.type]?.(event.data);
});
find(".who select").addEventListener("change", (event) => event.target.form.submit());
frame.src = frame.dataset.src;
