// Which panes are folded, in the address: `fold` names those that are not as they are by default (the prompt folded, the rest open).
// Without this module panes fold all the same; the server folds what the address names.
import { carried } from "./address.js";
import { listen } from "./keys.js";

const { names } = JSON.parse(document.getElementById("pane-folds").textContent);
const reader = document.getElementById("reader");
const panes = [...reader.querySelectorAll("details.pane")];
const nameOf = (pane) => names[pane.id.replace("pane-", "")];
const isDefault = (pane) => pane.open !== pane.classList.contains("kind-prompt");

function remember() {
  const params = new URLSearchParams(location.search);
  const changed = panes.filter((pane) => !isDefault(pane)).map(nameOf);
  if (changed.length) params.set("fold", changed.join("."));
  else params.delete("fold");
  const text = params.toString();
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
  for (const link of document.querySelectorAll("[data-step]")) link.search = carried(location.search);
}

// The pane that holds the focus, else the one at the top of what is seen.
function here() {
  const focused = document.activeElement?.closest("details.pane");
  return focused ?? panes.find((pane) => pane.getBoundingClientRect().bottom > innerHeight * 0.2) ?? panes.at(-1);
}

function toggle() {
  const pane = here();
  if (!pane) return false;
  pane.open = !pane.open;
  if (pane.getBoundingClientRect().top < 0) pane.scrollIntoView(); // what was read is above now
  return true;
}

// All open, or all closed when they are open.
function toggleAll() {
  const open = panes.some((pane) => !pane.open);
  for (const pane of panes) pane.open = open;
  return panes.length > 0;
}

reader.addEventListener("toggle", (event) => event.target.matches("details.pane") && remember(), true); // it does not bubble
listen({ f: toggle, F: toggleAll });
