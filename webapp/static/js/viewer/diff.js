// Two samples word by word, by key: from change to change, to either trace, back to the group.
import { follow, listen } from "./keys.js";

const marks = [...document.querySelectorAll("[data-change]")];
const numbers = [...new Set(marks.map((mark) => Number(mark.dataset.change)))].sort((a, b) => a - b);
let at = -1;

function step(by) {
  if (!numbers.length) return false;
  at = Math.min(numbers.length - 1, Math.max(0, at + by));
  const ours = marks.filter((mark) => Number(mark.dataset.change) === numbers[at]);
  for (const mark of marks) mark.classList.toggle("current", ours.includes(mark));
  for (const mark of ours) mark.scrollIntoView({ block: "center" });
  ours[0].focus({ preventScroll: true });
}

const open = (n) => follow(`[data-parting='${n}']`) || follow(`[data-open='${n}']`);

function unfold() {
  const prefix = document.getElementById("prefix");
  if (!prefix) return false;
  prefix.open = !prefix.open;
}

for (const button of document.querySelectorAll("[data-step]")) {
  button.hidden = false;
  button.addEventListener("click", () => step(Number(button.dataset.step)));
}
listen({
  n: () => step(1),
  p: () => step(-1),
  1: () => open(1),
  2: () => open(2),
  f: unfold,
  g: () => follow("[data-group]"),
});
