// The trace page's instruments. Without this module the text, the findings and the verdicts are still there to be read.
import * as address from "./address.js";
import { Find } from "./find.js";
import { Inspector } from "./inspector.js";
import { follow, listen } from "./keys.js";
import { Overlay, OVERLAYS } from "./overlay.js";
import { Panes } from "./panes.js";
import { build } from "./reading.js";
import { Tokens } from "./tokens.js";
import { rawText } from "./visible.js";
import { Walk } from "./walk.js";

const config = JSON.parse(document.getElementById("viewer-config").textContent);
const { words } = config;
const reader = document.getElementById("reader");
const toolbar = document.getElementById("toolbar");
const byId = (id) => document.getElementById(id);
const layers = config.layers ?? [];
const hasTokens = config.count > 0;
const defaults = { view: hasTokens ? "tokens" : "reading", overlay: layers.length ? "expert" : "logprob", layer: layers[0], expert: "", token: null };
const state = { ...defaults, ...address.read(location.search) };
if (!OVERLAYS.includes(state.overlay) || (!layers.length && ["expert", "gate"].includes(state.overlay))) state.overlay = defaults.overlay;
if (!layers.includes(state.layer)) state.layer = defaults.layer;
if (state.expert !== "" && !(state.expert < config.nExperts)) state.expert = "";

const overlays = [...(byId("overlay")?.options ?? [])].map((option) => option.value);
const find = new Find(reader, byId("find"), words);
let instruments = null; // tokens, panes, overlay, inspector, walk; null where the trace has no tokens

const isWide = () => !matchMedia("(max-width: 60rem)").matches; // narrower, the inspector is a sheet over the text
const layerPlace = () => Math.max(0, layers.indexOf(state.layer));
const painted = () => ({ overlay: state.overlay, layer: layerPlace(), expert: state.expert });

function remember() {
  history.replaceState(null, "", `${location.pathname}${address.write(location.search, state, defaults)}${location.hash}`);
  for (const link of document.querySelectorAll("[data-step]")) link.search = address.carried(location.search);
}

// -- what the controls say ---------------------------------------------------------------------------------------------

function showControls() {
  for (const button of toolbar.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
  }
  if (!hasTokens) return;
  const isReading = state.view === "reading";
  byId("overlay").value = state.overlay;
  byId("legend").hidden = isReading;
  for (const control of toolbar.querySelectorAll(".control")) {
    control.hidden = isReading || (control.dataset.for && !control.dataset.for.split(" ").includes(state.overlay));
  }
  if (!layers.length) return;
  byId("layer").value = layerPlace();
  const said = words.layerOf.replace("{id}", state.layer).replace("{n}", layerPlace() + 1).replace("{count}", layers.length);
  byId("layer-words").textContent = said;
  byId("layer").setAttribute("aria-valuetext", said);
  byId("expert").value = state.expert;
}

// Change the state, then everything that follows from it.
function change(part) {
  Object.assign(state, part);
  showControls();
  instruments?.overlay.paint(instruments.panes.all, painted());
  instruments?.overlay.explain(painted(), (expert) => change({ expert }));
  if (instruments && instruments.looked !== null) look(instruments.looked);
  remember();
}

function step(list, current, by) {
  const place = list.indexOf(current);
  return list[(place + by + list.length) % list.length];
}

function stepLayer(by) {
  const place = layerPlace() + by;
  if (!layers.length || place < 0 || place >= layers.length) return false;
  change({ layer: layers[place] });
  return true;
}

function stepExpert(by) {
  if (!layers.length || !["expert", "gate"].includes(state.overlay)) return false;
  change({ expert: step(["", ...Array(config.nExperts).keys()], state.expert, by) });
  return true;
}

// -- tokens or reading view --------------------------------------------------------------------------------------------

function showView(view) {
  const changed = view !== state.view;
  state.view = view;
  reader.dataset.view = view;
  for (const text of reader.querySelectorAll("[data-text]")) {
    const isTag = text.closest(".pane-tag");
    if (view === "reading" && !text.reading && !isTag) {
      text.reading = build(instruments?.panes.list.find((pane) => pane.element === text)?.raw ?? rawText(text));
      text.after(text.reading);
    }
    text.hidden = view === "reading" && !isTag;
    if (text.reading) text.reading.hidden = view !== "reading";
  }
  if (changed && find.field.value) find.search();
  showControls();
  remember();
}

// -- tokens ------------------------------------------------------------------------------------------------------------

function look(i) {
  const { inspector, panes } = instruments;
  if (i === null) return; // what was last looked at stays: nothing jumps when the pointer leaves the text
  instruments.looked = i;
  const text = panes.all.filter(([token]) => token === i).map(([, span]) => rawText(span)).join("");
  inspector.show(i, text, layerPlace());
}

async function loadTokens() {
  const { tokens, panes, overlay, walk } = instruments;
  const bar = byId("loading");
  const slow = setTimeout(() => (bar.hidden = false), 400);
  for (let k = 0; k < tokens.windowCount; k++) {
    const window = await tokens.load(k);
    const fresh = panes.fill(window);
    overlay.paint(fresh, painted());
    bar.value = (k + 1) / tokens.windowCount;
    bar.title = words.loading.replace("{loaded}", window.stop).replace("{count}", tokens.count);
    if (state.token !== null && walk.focused === null && panes.spans[state.token]) walk.go(state.token);
    if (!panes.wantsMore(window)) break;
    await new Promise((resolve) => setTimeout(resolve));
  }
  clearTimeout(slow);
  bar.hidden = true;
  if (walk.reachable === null) walk.reach(panes.all.find(([i]) => i >= config.promptTokens)?.[0] ?? 0);
  if (instruments.looked === null && isWide()) look(walk.reachable);
  change({});
}

function startTokens() {
  const tokens = new Tokens(config);
  const panes = new Panes(reader);
  const onFocus = (token) => {
    state.token = token;
    look(token);
    remember();
  };
  instruments = {
    tokens,
    panes,
    overlay: new Overlay(reader, byId("legend"), tokens, words),
    inspector: new Inspector(byId("inspector"), tokens, words),
    walk: new Walk(reader, panes, { onLook: look, onFocus }),
    looked: null,
  };
  if (isWide()) byId("inspector").hidden = false;
  for (let id = 0; id < (config.nExperts ?? 0) && layers.length; id++) {
    byId("expert").append(new Option(words.expert.replace("{id}", id), id));
  }
  loadTokens().catch((error) => {
    byId("viewer-error").textContent = words.failed.replace("{why}", error.message);
    byId("viewer-error").hidden = false;
    byId("loading").hidden = true;
  });
}

// -- begin -------------------------------------------------------------------------------------------------------------

function listenToControls() {
  toolbar.addEventListener("click", (event) => {
    const button = event.target.closest("[data-view]");
    if (button) showView(button.dataset.view);
  });
  byId("overlay")?.addEventListener("change", (event) => change({ overlay: event.target.value }));
  byId("layer")?.addEventListener("input", (event) => change({ layer: layers[Number(event.target.value)] }));
  byId("expert")?.addEventListener("change", (event) => {
    change({ expert: event.target.value === "" ? "" : Number(event.target.value) });
  });
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  document.querySelector("[data-action='close-inspector']")?.addEventListener("click", () => {
    instruments?.walk.release();
    instruments?.inspector.close();
  });
}

const arrows = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].map((key) => [key, () => instruments?.walk.arrow(key) ?? false]);
listen({
  ...Object.fromEntries(arrows),
  "[": () => stepLayer(-1),
  "]": () => stepLayer(1),
  o: () => hasTokens && change({ overlay: step(overlays, state.overlay, 1) }),
  e: () => stepExpert(1),
  E: () => stepExpert(-1),
  v: () => showView(state.view === "reading" ? "tokens" : "reading"),
  "/": () => find.open(),
  "?": () => byId("help").showModal(),
  ",": () => follow("a[rel='prev']"),
  ".": () => follow("a[rel='next']"),
  g: () => follow(".crumbs h1 a"),
  Escape: () => {
    instruments?.walk.release();
    if (!isWide()) instruments?.inspector.close();
  },
});
toolbar.hidden = false;
new ResizeObserver(() => reader.closest("main").style.setProperty("--toolbar-height", `${toolbar.offsetHeight}px`)).observe(toolbar);
if (hasTokens) startTokens();
listenToControls();
showView(state.view);
