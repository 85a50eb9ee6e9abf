// Colour beneath the text: keeps the chunks near the screen painted with the chosen kind, and fetches the routing they need.
import { Colours } from "./colours.js";
import { KINDS } from "./kinds.js";
import { Legend } from "./legend.js";
import { niceCeiling, quantile } from "./palette.js";
import { Painter } from "./painter.js";

const NEAR = "600px 0px"; // what lies this far above or below the screen is painted already
const REST = 350; // milliseconds after which the rest of a layer is fetched, for the legend
const AT_ONCE = 2048; // tokens of an answer then: one that nobody waits for any more keeps the server little
const SAMPLE = 20_000; // values that a range is judged by

export { KINDS };

export class Overlay {
  // `onKnown()`: the rest of the chosen layer has come
  constructor(reader, legend, facts, panes, words, onKnown) {
    Object.assign(this, { reader, facts, panes, onKnown });
    this.legend = new Legend(legend, words);
    this.painter = new Painter(new Colours(() => this.repaint()));
    this.near = new Set();
    this.state = null; // what is asked for
    this.shown = KINDS.none; // what is painted
    this.sight = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: NEAR });
    this.sizes = new ResizeObserver((entries) => this.resized(entries));
    for (const chunk of panes.chunks) this.sight.observe(chunk.element);
    this.sighted = panes.chunks.length ? new Promise((done) => (this.onSight = done)) : Promise.resolve(); // what is near is known
  }

  get kind() {
    return KINDS[this.state?.overlay] ?? KINDS.none;
  }

  seen(entries) {
    const fresh = [];
    for (const { target, isIntersecting } of entries) {
      const chunk = this.panes.ofElement.get(target);
      if (isIntersecting) {
        this.near.add(chunk);
        this.sizes.observe(target); // reports at once, and that paints
        fresh.push(chunk);
      } else if (this.near.delete(chunk)) {
        this.sizes.unobserve(target);
        chunk.release();
      }
    }
    this.onSight?.();
    if (this.state && fresh.length) this.fetch(fresh).catch(() => {}); // what fails for the screen is said by show()
  }

  resized(entries) {
    for (const { target } of entries) {
      const chunk = this.panes.ofElement.get(target);
      chunk.boxes = null;
      this.paint(chunk);
    }
  }

  // Show `state` = {overlay, layer (its id), expert}; resolves when what is near the screen is painted.
  async show(state, choose) {
    const isElsewhere = state.layer !== this.state?.layer || state.overlay !== this.state?.overlay;
    Object.assign(this, { state, choose });
    if (isElsewhere) {
      this.going?.abort();
      this.going = new AbortController();
      clearTimeout(this.resting);
    }
    this.reader.dataset.overlay = state.overlay;
    await this.sighted;
    await this.fetch([...this.near]);
    if (this.state !== state) return;
    this.shown = this.kind;
    this.facts.expert = state.expert;
    this.facts.layer = this.kind.isLayered ? this.facts.tokens.layer(state.layer) : null;
    this.judge();
    this.repaint();
    this.explain();
    performance.mark("viewer-painted"); // tests/bench/bench_viewer.py waits for it
    if (this.kind.isLayered && !this.facts.layer.isComplete) this.resting = setTimeout(() => this.complete(), REST);
  }

  explain() {
    this.legend.show(this.state.overlay, this.kind, this.facts, this.choose);
  }

  // The routing that `chunks` need, if it is not here.
  async fetch(chunks) {
    const { state } = this;
    if (!this.kind.isLayered) return;
    for (const chunk of chunks) {
      const from = Math.max(0, chunk.first - 1); // a change looks one token back
      if (this.facts.tokens.layer(state.layer).knows(from, chunk.last + 1)) continue;
      try {
        await this.facts.tokens.need(state.layer, from, chunk.last + 1, this.going?.signal);
      } catch (error) {
        if (error.name !== "AbortError") throw error;
        return;
      }
      this.paint(chunk); // with what is shown, which may be what was just fetched
    }
  }

  // The rest of the layer, for the legend's counts and its range.
  async complete() {
    const { state, facts } = this;
    try {
      await facts.tokens.need(state.layer, 0, facts.tokens.count, this.going.signal, AT_ONCE);
    } catch {
      return; // another layer was chosen, or the legend goes on saying that it counts a part
    }
    if (this.state !== state) return;
    const { high } = facts;
    this.judge();
    if (facts.high !== high) this.repaint();
    this.explain();
    this.onKnown();
  }

  // The end of the range: of all tokens that are known, so that the legend holds for the page.
  judge() {
    const { kind, facts } = this;
    if (kind.form !== "scale") return;
    if (kind.fixed) facts.high = kind.fixed(facts);
    else {
      const step = Math.ceil(facts.tokens.count / SAMPLE);
      const values = [];
      for (let i = 0; i < facts.tokens.count; i += step) {
        const value = kind.value(facts, i);
        if (!Number.isNaN(value)) values.push(value);
      }
      facts.high = niceCeiling(kind.range ? kind.range(values) : quantile(values, 0.98));
    }
  }

  repaint() {
    for (const chunk of this.near) this.paint(chunk);
  }

  paint(chunk) {
    if (this.state && this.near.has(chunk)) this.painter.draw(chunk, this.shown, this.facts);
  }
}
