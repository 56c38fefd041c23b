// What the pages do by themselves: hints of time, the live tail, single keys, security keys, copying.
// Everything but the live tail and security keys works without it.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function hint(at, now) {
  const seconds = Math.round((now - at) / 1000);
  const [length, unit] = UNITS.find(([length]) => Math.abs(seconds) >= length) ?? [1, ""];
  if (unit === "") return "now";
  const count = Math.floor(Math.abs(seconds) / length);
  return seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
}

function refreshHints() {
  // By the browser's own clock, as far as it goes on from when the page was made.
  const now = Date.now();
  for (const time of document.querySelectorAll("time[datetime]")) {
    const shown = time.querySelector("small");
    if (shown) shown.textContent = hint(Date.parse(time.dateTime), now);
  }
}
setInterval(refreshHints, 15000);

// The live tail: rows come as JSON and become text, never markup.

const tail = document.querySelector("[data-tail]");
const status = document.querySelector("#tail-status");
const KEEP = 500;

function fill(row, event) {
  for (const field of row.querySelectorAll("[data-field]")) {
    const value = event[field.dataset.field];
    if (value === undefined || value === null) continue;
    if (field.dataset.field === "outcome") field.classList.add(event.tone);
    if (field instanceof HTMLTimeElement) {
      field.dateTime = value;
      field.textContent = value.replace("T", " ").replace("Z", " ");
      field.append(document.createElement("small"));
    } else if (field instanceof HTMLAnchorElement) {
      field.href = event[`${field.dataset.field}_path`];
      field.textContent = value;
    } else {
      field.textContent = value;
    }
  }
}

function follow(button) {
  const rows = document.querySelector("#tail-rows");
  const model = document.querySelector("#tail-row");
  const source = new EventSource(button.dataset.tail);
  source.addEventListener("open", () => { status.textContent = "live"; });
  source.addEventListener("error", () => { status.textContent = "connecting again"; });
  source.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    const row = model.content.cloneNode(true);
    fill(row, event);
    row.firstElementChild.classList.add("fresh");
    rows.prepend(row);
    document.querySelector("#nothing")?.remove();
    while (rows.children.length > KEEP) rows.lastElementChild.remove();
    refreshHints();
  });
  return source;
}

if (tail) {
  let source = null;
  tail.hidden = false;
  tail.addEventListener("click", () => {
    if (source) {
      source.close();
      source = null;
      status.textContent = "stopped";
    } else {
      status.textContent = "connecting";
      source = follow(tail);
    }
    tail.setAttribute("aria-pressed", String(source !== null));
  });
}

// Single keys, which can be switched off.

const keys = document.querySelector("#keys");
const keysOn = document.querySelector("#keys-on");
const showKeys = document.querySelector("#show-keys");
const SWITCH = "watchward-keys";
let going = false;

function goTo(letter) {
  for (const link of document.querySelectorAll("nav a")) {
    if (link.textContent.toLowerCase().startsWith(letter)) return link.click();
  }
}

function typing(target) {
  return target.closest("input, select, textarea, dialog") !== null;
}

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  const was = going;
  going = false;
  if (was) return goTo(event.key.toLowerCase());
  if (event.key === "g") going = true;
  if (event.key === "?") keys.showModal();
  if (event.key === "/") {
    const first = document.querySelector(".filters input");
    if (first) { event.preventDefault(); first.focus(); }
  }
}

showKeys.hidden = false;
showKeys.addEventListener("click", () => keys.showModal());
keysOn.checked = localStorage.getItem(SWITCH) !== "off";
keysOn.addEventListener("change", () => {
  localStorage.setItem(SWITCH, keysOn.checked ? "on" : "off");
});
document.addEventListener("keydown", (event) => { if (keysOn.checked) pressed(event); });

// Security keys: a form holds the question to one, and takes its answer.

async function ask(form) {
  const question = JSON.parse(form.dataset.question).publicKey;
  if (form.dataset.new !== undefined) {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(question);
    return navigator.credentials.create({ publicKey });
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(question);
  return navigator.credentials.get({ publicKey });
}

async function touched(event) {
  const form = event.currentTarget;
  const said = form.querySelector("[role=status]");
  event.preventDefault();
  said.textContent = "Touch your key when it blinks.";
  try {
    const credential = await ask(form);
    form.elements.answer.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (error) {
    said.textContent = error.name === "InvalidStateError"
      ? "That key is added already."
      : "No key answered. Try again, or use a code.";
  }
}

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  for (const form of document.querySelectorAll("form[data-question]")) {
    form.hidden = false;
    form.addEventListener("submit", touched);
    if (form.dataset.new === undefined) form.querySelector("button").focus();
  }
}

// Copying: a button beside a text that is long to mark.

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).value);
    button.textContent = "Copied";
  });
}
