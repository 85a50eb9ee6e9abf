// Colour beneath the text: what each token shows under the chosen overlay, and the legend that explains it.
import { expertClass, HUES, LEVELS, niceCeiling, number, quantile, scale, stepClass, STEPS } from "./palette.js";

export const OVERLAYS = ["expert", "gate", "logprob", "entropy", "none"];
const MOST_CHIPS = 40;

export class Overlay {
  constructor(reader, legend, tokens, words) {
    Object.assign(this, { reader, legend, tokens, words });
  }

  // Paint `pairs` ([token, span]); `state` = {overlay, layer (its place among the router layers), expert ("" or a number)}.
  paint(pairs, state) {
    const kind = OVERLAYS.includes(state.overlay) ? state.overlay : "none";
    this.reader.dataset.overlay = kind;
    if (kind === "expert") this.paintExperts(pairs, state);
    else if (kind !== "none") this.paintScale(pairs, this.measure(state));
  }

  paintExperts(pairs, { layer, expert }) {
    for (const [i, span] of pairs) {
      const top = this.tokens.strongest(i, layer);
      dress(span, top && (expert === "" || top.expert === expert) ? expertClass(top.expert) : "");
    }
  }

  paintScale(pairs, { value, low, high }) {
    for (const [i, span] of pairs) dress(span, stepClass(scale(value(i), low, high)));
  }

  // What a sequential overlay measures, and between which values: of all loaded tokens, so that a legend holds for the page.
  measure({ overlay, layer, expert }) {
    const { tokens } = this;
    if (overlay === "gate") {
      const value = expert === "" ? (i) => tokens.strongest(i, layer)?.weight ?? NaN : (i) => tokens.weightOf(i, layer, expert);
      const high = niceCeiling(Math.max(0, ...this.sample(value)));
      return { value, low: 0, high, words: expert === "" ? this.words.gateAny : this.words.gateRange };
    }
    const value = overlay === "logprob" ? (i) => -tokens.value("logprob", i) : (i) => tokens.value("entropy", i);
    const high = niceCeiling(quantile(this.sample(value), 0.98));
    return { value, low: 0, high, words: overlay === "logprob" ? this.words.lessLikely : this.words.entropyRange };
  }

  sample(value) {
    const out = [];
    for (let i = 0; i < this.tokens.count; i++) {
      const v = this.tokens.has(i) ? value(i) : NaN;
      if (!Number.isNaN(v)) out.push(v);
    }
    return out.length > 65536 ? out.filter((_, i) => i % Math.ceil(out.length / 65536) === 0) : out;
  }

  explain(state, choose) {
    if (state.overlay === "expert") this.explainExperts(state, choose);
    else if (state.overlay === "none") this.legend.replaceChildren();
    else this.explainScale(this.measure(state), state);
  }

  explainExperts({ layer, expert }, choose) {
    const counts = new Map();
    let routed = 0;
    for (let i = 0; i < this.tokens.count; i++) {
      const top = this.tokens.strongest(i, layer);
      if (!top) continue;
      routed++;
      counts.set(top.expert, (counts.get(top.expert) ?? 0) + 1);
    }
    let shown = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_CHIPS);
    shown = shown.sort((a, b) => a[0] - b[0]);
    const chips = shown.map(([id, count]) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = `chip ${expertClass(id)}`;
      chip.setAttribute("aria-pressed", String(id === expert));
      chip.title = `${this.words.expert.replace("{id}", id)}: ${this.words.counts.replace("{share}", count).replace("{count}", routed)}`;
      const share = document.createElement("span");
      share.className = "soft";
      share.textContent = count;
      chip.append(`e${id} `, share);
      chip.addEventListener("click", () => choose(id === expert ? "" : id));
      return chip;
    });
    this.legend.replaceChildren();
    if (counts.size > shown.length) this.note(this.words.mostUsed.replace("{n}", shown.length).replace("{count}", counts.size));
    if (Math.max(0, ...counts.keys()) >= HUES * LEVELS) this.note(this.words.repeats.replace("{n}", HUES * LEVELS));
    this.legend.append(...chips);
  }

  explainScale({ high, words }, { overlay }) {
    const ramp = document.createElement("span");
    ramp.className = "ramp";
    ramp.setAttribute("aria-hidden", "true");
    for (let step = 0; step <= STEPS; step += 2) {
      const cell = document.createElement("span");
      cell.className = `s${step}`;
      ramp.append(cell);
    }
    this.legend.dataset.overlay = overlay;
    this.legend.replaceChildren(ramp);
    this.note(words.replace("{high}", number(high, high < 10 ? 2 : 0)).replace("{low}", `−${number(high, high < 10 ? 2 : 0)}`));
    if (overlay !== "gate") this.note(this.words.unknown, "unknown");
  }

  note(text, kind = "") {
    const note = document.createElement("span");
    note.className = `small soft ${kind}`;
    note.textContent = text;
    this.legend.append(note);
  }
}

// A span's first classes say what it is ("t newline"), the last what it shows; only a change touches the document.
function dress(span, shown) {
  span.kind ??= span.className;
  const wanted = shown ? `${span.kind} ${shown}` : span.kind;
  if (span.className !== wanted) span.className = wanted;
}
