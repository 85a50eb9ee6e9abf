// Makes the instruments of the trace page when its tokens are here, and joins them: overlay, map, inspector, walk.
import { Facts } from "./facts.js";
import { Inspector } from "./inspector.js";
import { KINDS } from "./kinds.js";
import { TraceMap } from "./map.js";
import { Overlay } from "./overlay.js";
import { number } from "./palette.js";
import { Panes } from "./panes.js";
import { Tokens } from "./tokens.js";
import { Walk } from "./walk.js";

const byId = (id) => document.getElementById(id);

// {tokens, panes, facts, overlay, map, inspector, walk, looked, show(state)}; rejects where the tokens cannot be had.
export async function start(config, reader, { layer, onPart, onLook, onFocus, onError, change }) {
  const { words } = config;
  const tokens = new Tokens(config);
  const first = tokens.layers.length ? tokens.need(layer, 0, 1) : null; // says what the store knows of a layer
  first?.catch(() => {});
  await tokens.load(onPart);
  await first;
  const panes = new Panes(reader);
  panes.build(tokens);
  const facts = new Facts(tokens, config, (i) => panes.text(i));
  offer(facts, layer);
  const made = { tokens, panes, facts, looked: null };
  made.overlay = new Overlay(reader, byId("legend"), facts, panes, words, () => made.map?.draw());
  made.inspector = new Inspector(byId("inspector"), tokens, words, (i) => told(facts, made.overlay, words, i));
  made.walk = new Walk(reader, panes, { onLook, onFocus, words: { token: words.tokenNamed } });
  made.map = byId("map") && new TraceMap(byId("map"), facts, words, {
    url: config.mapUrl,
    version: config.version,
    layers: tokens.layers,
    go: (i) => scrollTo(panes, i),
    sight: () => sight(panes),
    onError: (text) => onError(new Error(text)),
  });
  made.show = async (state) => {
    await made.overlay.show(state, (expert) => change({ expert }));
    made.map?.show(state.overlay, state.layer);
  };
  return made;
}

// Only what this trace can show is on offer.
function offer(facts, layer) {
  const known = facts.tokens.layers.length ? facts.tokens.layer(layer).extras : {};
  for (const option of byId("overlay").options) {
    const kind = KINDS[option.value];
    option.hidden = option.disabled = Boolean((kind.array && !known[kind.array]) || (kind.needs && !kind.needs(facts)));
  }
  for (const group of byId("overlay").querySelectorAll("optgroup")) {
    group.hidden = [...group.children].every((option) => option.hidden);
  }
}

// What the chosen kind says of token i, in words; nothing where the figures above say it already.
function told(facts, overlay, words, i) {
  const { shown: kind } = overlay;
  const label = byId("overlay").selectedOptions[0]?.textContent ?? "";
  if (kind.form === "none" || (kind.isLayered && !facts.layer?.isRouted(i))) return "";
  const value = kind.form === "scale" ? measured(kind, facts, words, i) : named(kind, facts, overlay.legend, i);
  return value === "" ? "" : words.shown.replace("{kind}", label).replace("{value}", value);
}

function measured(kind, facts, words, i) {
  const value = kind.value(facts, i);
  if (Number.isNaN(value)) return "";
  const text = number(kind === KINDS.logprob ? -value : value, kind.fixed ? 0 : 3);
  return kind.isMarked?.(facts, i) ? words.forking.replace("{value}", text) : text;
}

function named(kind, facts, legend, i) {
  const numbers = kind.numbers ? [...kind.numbers(facts, i)] : [kind.number(facts, i)];
  return numbers.filter((n) => n >= 0).map((n) => legend.name(kind, facts, n, true)).join(", ");
}

// -- between the text and the map ---------------------------------------------------------------------------------------

// The first and the last token on the screen, about: within a chunk by share of its height. Null where no text is.
function sight(panes) {
  const toolbar = byId("toolbar");
  const top = getComputedStyle(toolbar).position === "sticky" ? toolbar.getBoundingClientRect().bottom : 0;
  const ends = [Math.max(top, 1), innerHeight].map((y) => tokenAtHeight(panes.chunks, y));
  return ends[0] === null || ends[1] === null ? null : ends;
}

function tokenAtHeight(chunks, y) {
  let low = 0;
  let high = chunks.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (chunks[middle].element.getBoundingClientRect().bottom < y) low = middle + 1;
    else high = middle;
  }
  const chunk = chunks[low];
  if (!chunk) return null;
  const { top, height } = chunk.element.getBoundingClientRect();
  const share = height ? Math.min(1, Math.max(0, (y - top) / height)) : 0;
  return chunk.tokens[Math.min(chunk.tokens.length - 1, Math.floor(share * chunk.tokens.length))];
}

// Bring token i to the middle of the screen, or the nearest that is on the page.
function scrollTo(panes, i) {
  if (!panes.ends) return;
  const token = Math.min(panes.ends[1], Math.max(panes.ends[0], i));
  const chunk = panes.chunkOf(token) ?? panes.chunks[0];
  const folded = chunk.element.closest("details:not([open])");
  if (folded) folded.open = true;
  const { top, height } = chunk.element.getBoundingClientRect();
  const y = top + (height * chunk.row(token)) / chunk.tokens.length;
  scrollBy({ top: y - innerHeight / 2, behavior: "instant" });
}
