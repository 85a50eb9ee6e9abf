// The outline: its links lead to their place and mark it, keys lead from one turning word, step, answer, paragraph to the next.
// Without this module a link opens the page with the text from its place on.
import { follow, listen } from "./keys.js";
import { mark, rangeOf, readingLine, reveal, topOf } from "./place.js";

const { places: rows, words } = JSON.parse(document.getElementById("outline-places").textContent);
const places = rows.map(([pane, kind, start, end]) => ({ pane, kind, start, end }));
const nav = document.getElementById("outline");
const said = document.getElementById("outline-said");
const wide = matchMedia("(min-width: 80rem)");
let current = null;

const order = (place) => place.pane * 1e9 + place.start;

function say(place) {
  const list = places.filter(({ kind }) => kind === place.kind);
  said.textContent = words[place.kind].replace("{n}", list.indexOf(place) + 1).replace("{count}", list.length);
  nav.querySelector("[aria-current]")?.removeAttribute("aria-current");
  const link = nav.querySelector(`[data-place="${place.pane}.${place.start}"]`);
  if (!link) return;
  link.setAttribute("aria-current", "location");
  const fold = link.closest("ol ol details:not([open])");
  if (fold) fold.open = true;
  if (wide.matches) link.scrollIntoView({ block: "nearest" });
}

// To a place of this page; one that lies on another part of the text is a page away.
function go(place) {
  const range = rangeOf(place);
  if (!range) {
    const params = new URLSearchParams(location.search);
    params.delete("token");
    params.set("pane", place.pane);
    params.set("from", place.start);
    location.assign(`${location.pathname}?${params}#pane-${place.pane}`);
    return;
  }
  current = place;
  say(place); // first, as it may scroll
  mark(range);
  reveal(range);
}

// Where `place` is seen: a place on another part of its text is far above or below, a folded one where its pane is.
function height(place) {
  const range = rangeOf(place);
  const pane = document.getElementById(`pane-${place.pane}`);
  if (!range) return place.start < Number(pane.dataset.from) ? -Infinity : Infinity;
  return topOf(range) ?? pane.getBoundingClientRect().top;
}

// How many of `list` lie before where one is: the place jumped to while it is in sight, else the reading line.
function before(list, by) {
  const top = current ? height(current) : Infinity;
  if (top > 0 && top < innerHeight) {
    return list.filter((place) => (by > 0 ? order(place) <= order(current) : order(place) < order(current))).length;
  }
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (height(list[middle]) < readingLine() - 8) low = middle + 1;
    else high = middle;
  }
  return low;
}

function step(wanted, by) {
  const list = places.filter(({ kind }) => kind === wanted);
  const place = list[before(list, by) - (by > 0 ? 0 : 1)];
  if (place) go(place);
  else said.textContent = list.length ? words.noMore : words.nothing;
}

nav.addEventListener("click", (event) => {
  const link = event.target.closest("[data-place]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const [pane, start] = link.dataset.place.split(".").map(Number);
  const at = places.filter((place) => place.pane === pane && place.start === start);
  const place = at.find(({ kind }) => link.classList.contains(`mark-${kind}`)) ?? at[0];
  if (!place) return; // beyond what keys lead to: the address does it
  event.preventDefault();
  go(place);
});
const keys = { w: "turn", j: "step", a: "answer" };
listen({
  ...Object.fromEntries(Object.entries(keys).flatMap(([key, kind]) => [
    [key, () => step(kind, 1)],
    [key.toUpperCase(), () => step(kind, -1)],
  ])),
  "}": () => step("paragraph", 1),
  "{": () => step("paragraph", -1),
  h: () => follow("[data-standalone]"),
});
const fold = document.getElementById("outline-fold");
fold.open = wide.matches; // a column where there is room, a fold on a phone
wide.addEventListener("change", () => (fold.open = wide.matches));
