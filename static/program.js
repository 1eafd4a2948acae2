// The program's form: what the preview finds wrong is marked on the fields it is about, and a way leads to each.

const FAULT = "m-fault";
const icon = () => document.querySelector("#wrong .r-notice svg, #preview .r-notice svg, #phone .r-notice svg")?.cloneNode(true);

function clear(form) {
  for (const said of form.querySelectorAll(`.${FAULT}`)) said.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    if (field.getAttribute("aria-describedby") === `${field.id}-fault`) field.removeAttribute("aria-describedby");
  }
}

// What is wrong is shown even where a choice has folded it away.
function reveal(field) {
  for (let hidden = field.closest("[data-when][hidden]"); hidden; hidden = field.closest("[data-when][hidden]")) {
    hidden.hidden = false;
    for (const one of hidden.querySelectorAll("input, select, textarea")) one.disabled = false;
  }
}

function mark(form, name, sentence) {
  const field = document.getElementById(`f-${name}`);
  if (!field || !form.contains(field)) return;
  const before = document.getElementById(`${field.id}-fault`);
  if (before) { before.lastElementChild.textContent += ` ${sentence}`; return; }
  const said = document.createElement("p");
  said.className = FAULT;
  said.id = `${field.id}-fault`;
  const text = document.createElement("span");
  text.textContent = sentence;
  said.append(icon() ?? "", text);
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", said.id);
  (field.closest(".m-says, .r-field, .m-many, .r-check") ?? field).after(said);
  reveal(field);
}

const found = (root) => { for (const field of root.querySelectorAll("[aria-invalid]")) reveal(field); };
found(document);

document.addEventListener("htmx:load", (event) => {
  const seen = event.target;
  found(seen);
  if (seen.id !== "preview" && seen.id !== "phone") return;
  const form = seen.closest("form");
  if (!form) return;
  clear(form);
  // Where faults are told above the form already, the preview does not repeat them.
  const above = form.querySelectorAll("#wrong a[data-fault]");
  for (const link of above.length ? above : seen.querySelectorAll("a[data-fault]")) mark(form, link.dataset.fault, link.textContent);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-fault], a[data-leads]");
  const field = link && document.getElementById(`f-${link.dataset.fault ?? link.dataset.leads}`);
  if (!field) return;
  event.preventDefault();
  for (let around = field.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  field.focus();
  field.scrollIntoView({ block: "center" });
});
