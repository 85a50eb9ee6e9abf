// The group page by key: walk over the samples, open, choose two for a diff, label the one that has the focus.
import { listen } from "./keys.js";

const MOST = 2;
const links = [...document.querySelectorAll("[data-sample]")];
const boxes = () => [...document.querySelectorAll("input[form='diff-form']")];
const form = document.getElementById("diff-form");
const help = document.getElementById("help");
const waiting = new Map(); // id of a strip that is being saved -> the key that was pressed meanwhile
let order = []; // chosen boxes, the earliest first

const here = () => document.activeElement?.closest?.(".sample") ?? null;

function walk(step) {
  const at = links.indexOf(here()?.querySelector("[data-sample]"));
  const next = at < 0 ? links[0] : links[Math.min(links.length - 1, Math.max(0, at + step))];
  next?.focus();
}

// A third choice lets go of the earliest, so that the last two stand.
function choose(box) {
  order = order.filter((other) => other !== box && other.checked);
  if (box.checked) order.push(box);
  while (order.length > MOST) order.shift().checked = false;
  for (const each of boxes()) each.closest(".sample").classList.toggle("chosen", each.checked);
  const button = form?.querySelector("button");
  if (button) button.disabled = order.length !== MOST;
}

function toggle() {
  const box = here()?.querySelector("input[form='diff-form']");
  if (!box) return false;
  box.checked = !box.checked;
  choose(box);
}

function diff() {
  const box = here()?.querySelector("input[form='diff-form']");
  if (order.length === 1 && box && !box.checked) toggle();
  if (!form || order.length !== MOST) return false;
  form.requestSubmit();
}

function label(key) {
  const strip = here()?.querySelector("[data-strip]");
  if (!strip) return false;
  if (strip.classList.contains("htmx-request")) waiting.set(strip.id, key);
  else strip.querySelector(`[data-key='${key}']`)?.click();
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("input[form='diff-form']")) choose(event.target);
});
document.addEventListener("htmx:load", (event) => {
  const strip = event.target.closest?.("[data-strip]");
  const key = strip && waiting.get(strip.id);
  if (!key) return;
  waiting.delete(strip.id);
  strip.querySelector(`[data-key='${key}']`)?.click();
});
for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => {
    const strip = event.target.closest?.("[data-strip]");
    if (!strip) return;
    waiting.delete(strip.id);
    strip.querySelector("[data-strip-failed]").hidden = false;
  });
}

const button = document.getElementById("help-button");
button.hidden = false;
button.addEventListener("click", () => help.showModal());
for (const box of boxes()) if (box.checked) choose(box); // the browser keeps choices over a reload
if (form) form.querySelector("button").disabled = order.length !== MOST;

const labels = Object.fromEntries([..."kru"].flatMap((key) => [key, key.toUpperCase()].map((each) => [each, () => label(key)])));
listen({
  ...Object.fromEntries(links.slice(0, 9).map((link, n) => [String(n + 1), () => link.click()])),
  ...labels,
  ArrowRight: () => walk(1),
  ArrowDown: () => walk(1),
  ArrowLeft: () => walk(-1),
  ArrowUp: () => walk(-1),
  ".": () => walk(1),
  ",": () => walk(-1),
  x: toggle,
  X: toggle,
  d: diff,
  D: diff,
  "?": () => help.showModal(),
});
