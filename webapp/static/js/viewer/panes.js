// The text of the page as token spans. Each pane's text, rendered by the server, is replaced window by window as tokens come.
import { codePoints, share } from "./geometry.js";
import { rawText, setText } from "./visible.js";

const CHUNK = 512; // tokens in a block that the browser may leave unpainted while it is out of sight

class Pane {
  constructor(element) {
    this.element = element;
    this.raw = rawText(element);
    this.base = element.dataset.base === undefined ? null : Number(element.dataset.base);
    this.isLast = false;
    this.points = codePoints(this.raw);
    this.position = 0; // code points that have become spans
    this.chunk = null;
    this.rest = null;
  }

  slice(from, to) {
    return this.raw.slice(this.points.at(from), this.points.at(to));
  }

  begin() {
    this.rest = document.createElement("span");
    this.element.replaceChildren(this.rest);
    this.newChunk();
  }

  newChunk() {
    this.chunk = document.createElement("div");
    this.chunk.className = "chunk";
    this.filled = 0;
    this.element.insertBefore(this.chunk, this.rest);
  }

  // Turn the tokens of `window` that lie here into spans; `keep(i, span)` gets each.
  fill(window, keep) {
    if (this.base === null) return;
    const { start, stop, text_start: starts, text_end: ends } = window;
    if (ends[stop - start - 1] < this.base || starts[0] > this.base + this.points.length) return;
    if (!this.rest) this.begin();
    for (let row = 0; row < stop - start; row++) {
      const part = share(starts[row] - this.base, ends[row] - this.base, this.position, this.points.length, this.isLast);
      if (part) this.add(start + row, part, keep);
    }
    setText(this.rest, this.slice(this.position, this.points.length));
  }

  add(i, [from, to], keep) {
    if (from > this.position) this.chunk.append(this.slice(this.position, from)); // text that no token covers
    const text = this.slice(from, to);
    const span = document.createElement("span");
    span.className = text === "" ? "t bare" : /^\s*\n\s*$/.test(text) ? "t newline" : "t";
    span.dataset.i = i;
    span.tabIndex = -1;
    setText(span, text);
    this.chunk.append(span);
    this.position = Math.max(this.position, to);
    this.filled++;
    keep(i, span);
    if (this.filled >= CHUNK && text.endsWith("\n")) this.newChunk(); // a block ends where a line does
  }
}

export class Panes {
  constructor(reader) {
    this.list = [...reader.querySelectorAll("[data-text]")].map((element) => new Pane(element));
    const covered = this.list.filter((pane) => pane.base !== null);
    if (covered.length) covered.at(-1).isLast = true;
    this.spans = []; // token -> its first span
    this.all = []; // [token, span], in order; a token on the border of two panes has two
  }

  fill(window) {
    const before = this.all.length;
    for (const pane of this.list) {
      pane.fill(window, (i, span) => {
        this.spans[i] ??= span;
        this.all.push([i, span]);
      });
    }
    return this.all.slice(before);
  }

  // whether tokens after `window` could still have text on this page
  wantsMore(window) {
    const end = window.text_end[window.stop - window.start - 1];
    return this.list.some((pane) => pane.base !== null && pane.base + pane.points.length >= end);
  }
}
