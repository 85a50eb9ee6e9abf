// The trace page's instruments. Without this module the text, the findings and the verdicts are still there to be read.
import * as address from "./address.js";
import { Find } from "./find.js";
import { follow, listen } from "./keys.js";
import { KINDS } from "./kinds.js";
import { start } from "./instruments.js";
import { build } from "./reading.js";
import { buildRaw, rawText, setText } from "./visible.js";

const config = JSON.parse(document.getElementById("viewer-config").textContent);
const { words } = config;
const reader = document.getElementById("reader");
const toolbar = document.getElementById("toolbar");
const byId = (id) => document.getElementById(id);
const layers = config.layers ?? [];
const hasTokens = config.count > 0;
const defaults = { view: hasTokens ? "tokens" : "reading", overlay: layers.length ? "expert" : "logprob", layer: layers[0], expert: "", token: null };
const state = { ...defaults, ...address.read(location.search) };
if (!Object.hasOwn(KINDS, state.overlay) || (!layers.length && KINDS[state.overlay].isLayered)) state.overlay = defaults.overlay;
if (!layers.includes(state.layer)) state.layer = defaults.layer;
if (state.expert !== "" && !(state.expert < config.nExperts)) state.expert = "";

const find = new Find(reader, byId("find"), words);
let instruments = null; // see instruments.js; null until they are there, and where the trace has no tokens

const isWide = () => !matchMedia("(max-width: 60rem)").matches; // narrower, the inspector is a sheet over the text
const layerPlace = () => Math.max(0, layers.indexOf(state.layer));
const overlays = () => [...byId("overlay").options].filter((option) => !option.hidden).map((option) => option.value);

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
  const isReading = state.view !== "tokens";
  byId("overlay").value = state.overlay;
  byId("legend").hidden = isReading;
  byId("map")?.classList.toggle("away", isReading);
  for (const control of toolbar.querySelectorAll(".control")) {
    control.hidden = isReading || (control.dataset.for && !KINDS[state.overlay][control.dataset.for]);
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
  remember();
  if (!instruments) return;
  const again = () => instruments.looked !== null && look(instruments.looked);
  instruments.show({ overlay: state.overlay, layer: state.layer, expert: state.expert }).then(again, fail);
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
  if (!layers.length || !KINDS[state.overlay].hasExpert) return false;
  change({ expert: step(["", ...Array(config.nExperts).keys()], state.expert, by) });
  return true;
}

// -- tokens, reading or raw view ------------------------------------------------------------------------------------------

const builders = { reading: build, raw: buildRaw }; // the other views of a pane's text, each made when first asked for

function showView(view) {
  const changed = view !== state.view;
  state.view = view;
  reader.dataset.view = view;
  for (const text of reader.querySelectorAll("[data-text]")) {
    const shown = text.closest(".pane-tag") && view === "reading" ? "tokens" : view;
    text.views ??= {};
    if (builders[shown] && !text.views[shown]) {
      text.views[shown] = builders[shown](instruments?.panes.list.find((pane) => pane.element === text)?.raw ?? rawText(text));
      text.after(text.views[shown]);
    }
    text.hidden = shown in builders;
    for (const [name, element] of Object.entries(text.views)) element.hidden = name !== shown;
  }
  if (changed && find.field.value) find.search();
  showControls();
  remember();
}

let viewBefore = null; // the view to return to from the exact prompt

function showPrompt() {
  const prompt = reader.querySelector(".pane.kind-prompt");
  if (!prompt) return false;
  if (state.view === "raw" && viewBefore && prompt.open) {
    showView(viewBefore);
    viewBefore = null;
    prompt.open = false;
    return true;
  }
  viewBefore = state.view === "raw" ? defaults.view : state.view;
  showView("raw");
  prompt.open = true;
  prompt.scrollIntoView();
  return true;
}

// -- tokens ------------------------------------------------------------------------------------------------------------

function look(i) {
  if (i === null) return; // what was last looked at stays: nothing jumps when the pointer leaves the text
  instruments.looked = i;
  instruments.inspector.show(i, instruments.panes.text(i), layerPlace());
}

function onFocus(token) {
  state.token = token;
  look(token);
  remember();
}

function fail(error) {
  byId("viewer-error").textContent = words.failed.replace("{why}", error.message);
  byId("viewer-error").hidden = false;
  byId("loading").hidden = true;
}

async function startTokens() {
  if (isWide()) byId("inspector").hidden = false;
  for (let id = 0; id < (config.nExperts ?? 0) && layers.length; id++) {
    byId("expert").append(new Option(words.expert.replace("{id}", id), id));
  }
  const bar = byId("loading");
  const slow = setTimeout(() => (bar.hidden = false), 400);
  const onPart = (loaded) => {
    bar.value = loaded / config.count;
    bar.title = words.loading.replace("{loaded}", loaded).replace("{count}", config.count);
  };
  instruments = await start(config, reader, { layer: state.layer, onPart, onLook: look, onFocus, onError: fail, change });
  clearTimeout(slow);
  bar.hidden = true;
  if (!overlays().includes(state.overlay)) state.overlay = defaults.overlay;
  if (find.field.value) find.again(); // the text has been put into chunks
  const { panes, walk } = instruments;
  if (state.token !== null) walk.go(state.token);
  if (walk.reachable === null && panes.ends) {
    const first = Math.min(panes.ends[1], Math.max(panes.ends[0], config.promptTokens));
    walk.reach(first);
    if (isWide()) look(first);
  }
  change({});
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
  o: () => hasTokens && change({ overlay: step(overlays(), state.overlay, 1) }),
  O: () => hasTokens && change({ overlay: step(overlays(), state.overlay, -1) }),
  m: () => Boolean(instruments?.map?.isShown) && byId("map").focus(),
  e: () => stepExpert(1),
  E: () => stepExpert(-1),
  v: () => showView(step(["reading", "tokens", "raw"], state.view, 1)),
  q: () => showPrompt(),
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
if (state.view === "raw") for (const text of reader.querySelectorAll("[data-text]")) setText(text, rawText(text)); // the server wrote it raw
new ResizeObserver(() => reader.closest("main").style.setProperty("--toolbar-height", `${toolbar.offsetHeight}px`)).observe(toolbar);
if (hasTokens) startTokens().catch(fail);
listenToControls();
showView(state.view);
