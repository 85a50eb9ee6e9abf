// The map: the whole trace as a picture, layers across and tokens down, with segments and findings at its edges and what is on the
// screen outlined. Click, drag or walk with the arrow keys to go there.
import { Colours } from "./colours.js";
import { KINDS } from "./kinds.js";
import { MapPicture } from "./mappicture.js";
import { decode } from "./tokens.js";

const STEP = 64; // the number of bins is a multiple, so that windows of about the same height share a kept answer
const PAGE = 10; // bins
const SAY = 150; // milliseconds of rest after which a reader is told where the page stands

export class TraceMap {
  // `element` holds a canvas; `go(i)` brings token i onto the screen; `sight()` gives [first, last] of what is on it, or null
  constructor(element, facts, words, { url, version, layers, go, sight, onError }) {
    Object.assign(this, { element, facts, words, url, version, layers, go, sight, onError });
    this.canvas = element.querySelector("canvas");
    this.frame = element.querySelector(".map-sight");
    this.count = facts.tokens.count;
    this.kept = new Map(); // kind and bins -> a promise of the server's answer
    this.picture = new MapPicture(this.canvas, new Colours(() => this.draw()));
    this.listen();
    this.height = 0; // of the canvas; asking for it while scrolling would lay the page out
    new ResizeObserver(() => {
      this.height = this.canvas.clientHeight;
      this.draw();
    }).observe(this.canvas);
    addEventListener("scroll", () => this.follow(), { passive: true });
    element.hidden = false;
  }

  get bins() {
    return Math.min(this.count, 1024, Math.max(STEP, Math.floor(this.height / STEP) * STEP));
  }

  get isShown() {
    return this.height > 0;
  }

  show(overlay, layer) {
    Object.assign(this, { overlay, layer });
    this.draw();
  }

  // What the server makes of a kind that differs from layer to layer; kinds it has no map of show the experts instead.
  fetch(kind) {
    const query = `kind=${kind}&bins=${this.bins}`;
    if (!this.kept.has(query)) {
      const answer = this.ask(query);
      answer.catch(() => this.kept.delete(query));
      this.kept.set(query, answer);
    }
    return this.kept.get(query);
  }

  async ask(query) {
    const answer = await fetch(`${this.url}?${query}&v=${this.version}`);
    if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error ?? answer.statusText);
    return decode(await answer.arrayBuffer());
  }

  async draw() {
    if (!this.isShown || !this.overlay) return;
    const { overlay, layer } = this;
    const kind = KINDS[overlay];
    if (kind.isLayered) {
      const name = { topk: "expert", open_groups: "group" }[overlay] ?? overlay;
      const answer = await this.fetch(name).catch((error) => this.onError(this.words.mapFailed.replace("{why}", error.message)));
      if (!answer || overlay !== this.overlay || layer !== this.layer) return;
      const expert = kind.hasExpert && kind.form !== "scale" ? this.facts.expert : "";
      this.picture.layered(answer, kind, this.layers.indexOf(layer), expert);
    } else this.picture.plain(kind, this.facts, this.bins);
    this.picture.edges(this.facts);
    this.follow();
  }

  // Outline what is on the screen.
  follow() {
    if (this.following || !this.isShown) return;
    this.following = requestAnimationFrame(() => {
      this.following = null;
      const seen = this.sight();
      this.frame.hidden = !seen;
      if (!seen) return;
      const [top, bottom] = [seen[0], seen[1] + 1].map((i) => Math.round((i / this.count) * this.height));
      this.frame.style.transform = `translateY(${top}px)`;
      this.frame.style.height = `${Math.max(4, bottom - top)}px`;
      clearTimeout(this.saying);
      this.saying = setTimeout(() => this.say(seen[0]), SAY);
    });
  }

  say(i) {
    this.element.setAttribute("aria-valuenow", i);
    this.element.setAttribute("aria-valuetext", this.words.mapAt.replace("{n}", i).replace("{count}", this.count));
  }

  listen() {
    const { element } = this;
    element.setAttribute("aria-valuemax", this.count - 1);
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      this.goTo(event);
    });
    element.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.goTo(event);
    });
    element.addEventListener("keydown", (event) => this.key(event));
  }

  goTo({ clientY }) {
    const { top, height } = this.canvas.getBoundingClientRect();
    this.go(Math.round(Math.min(1, Math.max(0, (clientY - top) / height)) * (this.count - 1)));
  }

  key(event) {
    const bin = Math.max(1, Math.round(this.count / this.bins));
    const steps = { ArrowUp: -bin, ArrowLeft: -bin, ArrowDown: bin, ArrowRight: bin, PageUp: -PAGE * bin, PageDown: PAGE * bin };
    const seen = this.sight() ?? [0, 0];
    const middle = this.at ?? Math.round((seen[0] + seen[1]) / 2);
    const to = event.key === "Home" ? 0 : event.key === "End" ? this.count - 1 : middle + (steps[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    this.at = Math.min(this.count - 1, Math.max(0, to)); // a bin may be less than a line: what was meant is kept, not what is seen
    this.go(this.at);
    clearTimeout(this.forget);
    this.forget = setTimeout(() => (this.at = undefined), 1500);
  }
}
