// The counter: the camera reads codes, a USB scanner types them, sounds and vibration say how it went, and what a broken
// connection has left open is asked again under the same key.

const EVERY = 120; // ms between two looks through the camera
const SAME = 4000; // ms in which the same code is not read twice
const PAUSE = 1500; // ms between two tries after a broken connection
const TRIES = 4;

const notice = (text, tone) => document.dispatchEvent(new CustomEvent("notice", { detail: { text, tone } }));
const sheet = document.getElementById("sheet");
const scan = document.getElementById("scan");
const camera = document.getElementById("camera");
const worker = document.querySelector("script[data-worker]")?.dataset.worker;

if (worker && "serviceWorker" in navigator) navigator.serviceWorker.register(worker, { scope: "/staff/" }).catch(() => {});

// How it went, for ears and hands. Success rises, failure falls.
let sound;
function signal(good) {
  navigator.vibrate?.(good ? 60 : [80, 60, 80]);
  try {
    sound ??= new AudioContext();
    const tone = sound.createOscillator(), volume = sound.createGain();
    tone.type = good ? "sine" : "square";
    tone.frequency.setValueAtTime(good ? 880 : 300, sound.currentTime);
    tone.frequency.setValueAtTime(good ? 1320 : 200, sound.currentTime + 0.09);
    volume.gain.setValueAtTime(0.12, sound.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + 0.22);
    tone.connect(volume).connect(sound.destination);
    tone.start();
    tone.stop(sound.currentTime + 0.24);
  } catch {
    // Without sound there is still the colour and the words.
  }
}

// The camera.

const says = document.getElementById("camera-says");
const video = camera?.querySelector("video");
let stream, looking, last = { code: "", at: 0 };

function say(what, state) {
  says.textContent = says.dataset[what];
  camera.dataset.state = state;
}

async function detector() {
  if ("BarcodeDetector" in window) {
    const formats = await window.BarcodeDetector.getSupportedFormats().catch(() => []);
    if (formats.includes("qr_code")) return new window.BarcodeDetector({ formats: ["qr_code"] });
  }
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: camera.dataset.fallback, onload: resolve, onerror: reject });
    document.head.append(script);
  });
  const fallback = window.BarcodeDetectionAPI;
  fallback.prepareZXingModule({ overrides: { locateFile: () => camera.dataset.wasm } });
  return new fallback.BarcodeDetector({ formats: ["qr_code"] });
}

async function open() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  } catch (refused) {
    say(refused.name === "NotAllowedError" ? "denied" : "none", "off");
    return;
  }
  video.srcObject = stream;
  await video.play();
  say("looking", "on");
  document.getElementById("start").hidden = true;
  offerLight(stream.getVideoTracks()[0]);
  look(await detector());
}

function offerLight(track) {
  const torch = document.getElementById("torch");
  if (!track.getCapabilities?.().torch) return;
  torch.hidden = false;
  torch.onclick = () => {
    const on = torch.getAttribute("aria-pressed") !== "true";
    torch.setAttribute("aria-pressed", on);
    track.applyConstraints({ advanced: [{ torch: on }] });
  };
}

async function look(eyes) {
  looking = true;
  while (stream?.active) {
    if (document.visibilityState === "visible" && !sheet.childElementCount) {
      const [found] = await eyes.detect(video).catch(() => []);
      if (found) read(found.rawValue);
    }
    await new Promise((later) => setTimeout(later, EVERY));
  }
  looking = false;
  say("none", "off");
}

function read(code) {
  if (code === last.code && Date.now() - last.at < SAME) return;
  last = { code, at: Date.now() };
  say("reading", "read");
  submit(code);
}

function submit(code) {
  scan.elements.code.value = code;
  scan.requestSubmit();
}

if (camera && navigator.mediaDevices) {
  const start = document.getElementById("start");
  start.hidden = false;
  start.onclick = open;
  // Allowed before: no button to press.
  navigator.permissions?.query({ name: "camera" }).then((one) => { if (one.state === "granted") open(); }, () => {});
}

// A USB scanner types fast and ends with Enter: what arrives outside a field is a code.
let typed = "", typedAt = 0;
document.addEventListener("keydown", (event) => {
  if (!scan || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches?.("input, textarea, select, [contenteditable]")) return;
  if (event.timeStamp - typedAt > 100) typed = "";
  typedAt = event.timeStamp;
  if (event.key === "Enter" && typed.length > 5) { event.preventDefault(); submit(typed); typed = ""; }
  else if (event.key.length === 1) typed += event.key;
});

// The sheet.

function freshKey() {
  return crypto.randomUUID();
}

function shut() {
  sheet.replaceChildren();
  if (!camera) return;
  if (stream?.active) say("looking", "on");
  else document.getElementById("code")?.focus();
}

document.addEventListener("click", (event) => { if (event.target.closest("[data-shuts]")) shut(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && sheet?.childElementCount && !document.querySelector("dialog[open]")) shut();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target !== sheet || !sheet.childElementCount) return;
  const tone = sheet.querySelector("[data-tone]")?.dataset.tone;
  signal(tone !== "bad");
  if (camera) camera.dataset.state = tone === "bad" ? "wrong" : "read";
  if (scan) { scan.elements.code.value = ""; scan.elements.key.value = freshKey(); }
  sheet.scrollTop = 0;
  sheet.focus({ preventScroll: true });
  for (const form of sheet.querySelectorAll("[data-ends]")) countDown(form);
});

function countDown(form) {
  const ends = Date.now() + form.dataset.ends * 1000, left = form.querySelector(".left");
  const tick = () => {
    const seconds = Math.ceil((ends - Date.now()) / 1000);
    if (!form.isConnected) return;
    if (seconds <= 0) { form.remove(); return; }
    left.textContent = seconds;
    setTimeout(tick, 250);
  };
  tick();
}
for (const form of document.querySelectorAll("#sheet [data-ends]")) countDown(form);

// A broken connection. A lookup is refused: nobody is guessed. What changes something is sent again under its key until an
// answer is there, for it may have gone through.
document.addEventListener("htmx:sendError", (event) => broken(event));
document.addEventListener("htmx:timeout", (event) => broken(event));

function broken(event) {
  const form = event.target.closest?.("form");
  signal(false);
  if (!form || form.id === "find" || form.id === "scan") {
    if (sheet?.dataset.lost) notice(sheet.dataset.lost, "bad");
    last.code = "";
    if (camera) say(stream?.active ? "looking" : "none", stream?.active ? "on" : "off");
    return;
  }
  const tries = Number(form.dataset.tried ?? 0) + 1;
  form.dataset.tried = tries;
  if (tries > TRIES) { notice(sheet?.dataset.unknown, "bad"); form.dataset.tried = 0; return; }
  if (tries === 1) notice(sheet?.dataset.checking, "info");
  setTimeout(() => { if (form.isConnected) form.requestSubmit(); }, PAUSE);
}
document.addEventListener("htmx:responseError", () => {
  signal(false);
  last.code = "";
  if (camera && stream?.active) say("looking", "on");
});
document.addEventListener("htmx:beforeRequest", (event) => { event.detail.xhr.timeout = 10_000; });
