// A stretch of the page's text with its tokens: where each lies on the screen, and the canvas beneath the words.
import { setText } from "./visible.js";

const LARGEST = 8192; // pixels of a canvas' side
const LINE_GAP = 8; // CSS pixels above and below a token's box that still belong to it

export class Chunk {
  // `plan`: tokens (ascending), and for each where its text starts and ends in `raw` (UTF-16)
  constructor({ tokens, starts, ends }, raw) {
    Object.assign(this, { tokens, starts, ends, raw });
    this.element = document.createElement("div");
    this.element.className = "chunk";
    setText(this.element, raw);
    this.boxes = null; // Float32Array of [row, x, y, width, height]: one for each line that a token touches
    this.canvas = null;
  }

  get first() {
    return this.tokens[0];
  }

  get last() {
    return this.tokens.at(-1);
  }

  row(i) {
    const row = i - this.first; // tokens follow one another but for the odd one without a place
    return this.tokens[row] === i ? row : this.tokens.indexOf(i);
  }

  has(i) {
    return i >= this.first && i <= this.last && this.row(i) >= 0;
  }

  text(i) {
    const row = this.row(i);
    return this.raw.slice(this.starts[row], this.ends[row]);
  }

  // Where the text nodes begin in `raw`; a mark stands for one hidden character and is taken as a whole.
  nodes() {
    const out = [];
    const walker = document.createTreeWalker(this.element, NodeFilter.SHOW_TEXT);
    let place = 0;
    while (walker.nextNode()) {
      const { currentNode: text } = walker;
      const mark = text.parentElement.closest(".mark");
      const length = mark ? String.fromCodePoint(parseInt(mark.dataset.code, 16)).length : text.data.length;
      out.push({ node: mark ?? text, start: place, end: place + length });
      place += length;
    }
    return out;
  }

  // Find every token's boxes again, in CSS pixels from the chunk's corner. One walk: tokens and nodes are both in order.
  measure() {
    const { left, top } = this.element.getBoundingClientRect();
    const nodes = this.nodes();
    const range = new Range();
    const found = [];
    let n = 0;
    for (let row = 0; row < this.tokens.length; row++) {
      const [start, end] = [this.starts[row], this.ends[row]];
      while (n < nodes.length - 1 && nodes[n].end <= start) n++;
      if (!nodes.length) break;
      place(range, "Start", nodes[n], start);
      let m = n;
      while (m < nodes.length - 1 && nodes[m].end < end) m++;
      place(range, "End", nodes[m], Math.max(start, end));
      const before = found.length;
      for (const rect of range.getClientRects()) {
        if (rect.width > 0 || found.length === before) found.push(row, rect.left - left, rect.top - top, rect.width, rect.height);
      }
    }
    this.boxes = Float32Array.from(found);
    return this.boxes;
  }

  // The token whose box is nearest to a point of the window; null where none is near.
  at(x, y) {
    const { left, top } = this.element.getBoundingClientRect();
    const boxes = this.boxes ?? this.measure();
    for (let b = 0; b < boxes.length; b += 5) {
      const [dx, dy] = [x - left - boxes[b + 1], y - top - boxes[b + 2]];
      if (dx >= 0 && dx < Math.max(boxes[b + 3], 4) && dy >= -LINE_GAP && dy < boxes[b + 4] + LINE_GAP) return this.tokens[boxes[b]];
    }
    return null;
  }

  // {x, y, width, height} of token i's first box.
  box(i) {
    const row = this.row(i);
    const boxes = this.boxes ?? this.measure();
    for (let b = 0; b < boxes.length; b += 5) {
      if (boxes[b] === row) return { x: boxes[b + 1], y: boxes[b + 2], width: boxes[b + 3], height: boxes[b + 4] };
    }
    return null;
  }

  // A cleared canvas as large as the chunk, and its context in CSS pixels; null while the chunk is not laid out.
  surface() {
    const { offsetWidth: width, offsetHeight: height } = this.element;
    if (!width || !height) return null;
    if (!this.canvas) {
      this.canvas = document.createElement("canvas");
      this.canvas.className = "wash";
      this.canvas.setAttribute("aria-hidden", "true");
      this.element.prepend(this.canvas);
    }
    const scale = Math.min(devicePixelRatio || 1, 2, LARGEST / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d", { willReadFrequently: true }); // in memory: drawn once, shown often
    context.scale(scale, scale);
    return context;
  }

  // Out of sight nothing is kept but the text.
  release() {
    this.canvas?.remove();
    this.canvas = null;
    this.boxes = null;
  }
}

function place(range, side, { node, start }, at) {
  if (node.nodeType === Node.TEXT_NODE) range[`set${side}`](node, Math.min(at - start, node.data.length));
  else if (side === "Start") range.setStartBefore(node);
  else range.setEndAfter(node);
}
