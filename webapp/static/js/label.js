// Labelling by key on the trace page. The panel's buttons and links do the work; a key presses the one that names it.
// The panel is replaced after each save, so it is looked up at each key and nothing is kept.

const panel = () => document.querySelector("[data-label-panel]");
const find = (selector) => panel()?.querySelector(selector) ?? null;
let sending = false; // one save at a time: the next one must carry the id of the label that this one makes
const waiting = [];

function isTyping(target) {
  return target.closest?.("input:not([type='radio'], [type='checkbox'], [type='button']), textarea, select, [contenteditable='true']");
}

function save() {
  find("[data-label='save']")?.click();
}

function rate(digit) {
  const radio = find(`input[name='rating'][value='${digit}']`);
  if (!radio) return;
  radio.checked = true;
  if (find("[data-label='save']").value) save();
}

function press(pressed) {
  const key = sending ? pressed : pressed.toLowerCase();
  if (sending) {
    if (key.length === 1) waiting.push(key);
    return key.length === 1;
  }
  if (/^[1-5]$/.test(key)) {
    rate(key);
    return Boolean(find("input[name='rating']"));
  }
  if (key === "n" || key === "t") {
    const field = find(`[data-label='${key === "n" ? "note" : "tags"}']`);
    field?.focus();
    return Boolean(field);
  }
  const control = /^[a-z]$/.test(key) ? find(`[data-key='${key}']`) : null;
  control?.click();
  return Boolean(control);
}

function onKey(event) {
  if (!panel() || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const inForm = event.target.closest?.("[data-label-form]");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && (inForm || !isTyping(event.target))) {
    event.preventDefault();
    save();
    return;
  }
  if (isTyping(event.target)) {
    if (event.key === "Escape" && inForm) event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (press(event.key)) event.preventDefault();
}

// While a save is on its way every letter waits for it, before anyone else on the page takes it for a command.
function hold(event) {
  if (!sending || event.key.length !== 1 || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  waiting.push(event.key);
  event.preventDefault();
  event.stopImmediatePropagation();
}

// A datalist completes a whole field; ours holds several words, so the suggestions carry the words before the last one.
function suggest(field) {
  const list = field.list;
  if (!list) return;
  const words = field.value.split(/[\s,]+/);
  const before = words.slice(0, -1).filter(Boolean);
  for (const option of list.options) {
    option.dataset.tag ??= option.value;
    const used = before.includes(option.dataset.tag);
    option.disabled = used;
    option.value = [...before, option.dataset.tag].join(" ");
  }
}

function showKeys() {
  const place = document.getElementById("label-keys");
  const keys = find("[data-label-keys]");
  if (place && keys) place.replaceChildren(keys.cloneNode(true));
}

// What was pressed while a save was on its way: after the key that opens a field, the rest is what was written into it.
function catchUp() {
  const keys = waiting.splice(0);
  while (keys.length) {
    const key = keys.shift();
    if (!press(key)) document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); // the page's own
    if (!sending && isTyping(document.activeElement)) document.activeElement.value += keys.splice(0).join("");
  }
}

const isOurs = (event) => event.target.closest?.("[data-label-form]") || event.detail?.elt?.closest?.("[data-label-form]");

document.addEventListener("keydown", hold, true);
document.addEventListener("keydown", onKey);
document.addEventListener("input", (event) => {
  if (event.target.matches?.("[data-label='tags']")) suggest(event.target);
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (isOurs(event)) sending = true;
});
for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => {
    if (!isOurs(event)) return;
    sending = false;
    waiting.length = 0;
    find("[data-label-failed]")?.removeAttribute("hidden");
  });
}
document.addEventListener("htmx:load", (event) => {
  if (!panel()?.contains(event.target) && !event.target.contains?.(panel())) return;
  showKeys();
  // htmx gives the focus back to the field; once it is saved, keys are for judging again
  const field = document.activeElement;
  if (sending && panel().contains(field) && !find(".errorlist")) field.blur();
  sending = false;
  catchUp();
});
showKeys();
