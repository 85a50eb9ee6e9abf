// The text of the page in chunks that end where a line does, and which token lies where in them. The text stays text: nothing is
// wrapped around a token, so a long trace costs what its plain text costs.
import { Chunk } from "./chunk.js";
import { codePoints, share } from "./geometry.js";
import { rawText } from "./visible.js";

const CHUNK = 256; // tokens after which a chunk ends at the next line's end
const MOST = 2048; // tokens after which it ends anyhow: a paragraph as long as this breaks its line there

class Pane {
  constructor(element) {
    this.element = element;
    this.raw = rawText(element);
    this.base = element.dataset.base === undefined ? null : Number(element.dataset.base);
    this.isLast = false;
    this.points = codePoints(this.raw);
  }

  // Cut the text into chunks along the tokens; `tokens` has text_start and text_end, in code points of prompt and completion.
  cut({ text_start: starts, text_end: ends, count }) {
    const chunks = [];
    let chunk = null;
    let position = 0; // code points that tokens have covered
    for (let i = firstAt(ends, this.base); i < count && starts[i] <= this.base + this.points.length; i++) {
      const part = share(starts[i] - this.base, ends[i] - this.base, position, this.points.length, this.isLast);
      if (!part) continue;
      position = Math.max(position, part[1]);
      const [from, to] = [this.points.at(part[0]), this.points.at(part[1])];
      chunk ??= { from: chunks.at(-1)?.to ?? 0, to: 0, tokens: [], starts: [], ends: [] };
      chunk.tokens.push(i);
      chunk.starts.push(from - chunk.from);
      chunk.ends.push(to - chunk.from);
      chunk.to = to;
      const size = chunk.tokens.length;
      if ((size >= CHUNK && this.raw[to - 1] === "\n" && to > from) || size >= MOST) {
        chunks.push(chunk);
        chunk = null;
      }
    }
    if (chunk) chunks.push(chunk);
    return chunks;
  }

  // Put the chunks in the place of the text that the server wrote.
  build(tokens) {
    if (this.base === null) return [];
    const plans = this.cut(tokens);
    if (!plans.length) return [];
    plans.at(-1).to = this.raw.length;
    const chunks = plans.map((plan) => new Chunk(plan, this.raw.slice(plan.from, plan.to)));
    this.element.replaceChildren(...chunks.map((chunk) => chunk.element));
    return chunks;
  }
}

// The first token that ends at `place` or behind it.
function firstAt(ends, place) {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] >= place) high = middle;
    else low = middle + 1;
  }
  return low;
}

export class Panes {
  constructor(reader) {
    this.list = [...reader.querySelectorAll("[data-text]")].map((element) => new Pane(element));
    const covered = this.list.filter((pane) => pane.base !== null);
    if (covered.length) covered.at(-1).isLast = true;
    this.chunks = []; // in the order of the text
    this.ofElement = new WeakMap();
  }

  build(tokens) {
    this.chunks = this.list.flatMap((pane) => pane.build(tokens));
    for (const chunk of this.chunks) this.ofElement.set(chunk.element, chunk);
  }

  // The first and the last token on the page; null where there is none.
  get ends() {
    return this.chunks.length ? [this.chunks[0].first, this.chunks.at(-1).last] : null;
  }

  // The chunk that shows token i, the first of two where it lies on a border; undefined where it is not on the page.
  chunkOf(i) {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.chunks[middle].last < i) low = middle + 1;
      else high = middle;
    }
    const chunk = this.chunks[low];
    return chunk?.has(i) ? chunk : undefined;
  }

  // The text of token i on the page, over a border between panes if it lies on one.
  text(i) {
    const first = this.chunks.indexOf(this.chunkOf(i));
    if (first < 0) return "";
    let text = "";
    for (let c = first; c < this.chunks.length && this.chunks[c].has(i); c++) text += this.chunks[c].text(i);
    return text;
  }

  chunkAt(target) {
    const element = target.closest?.(".chunk");
    return (element && this.ofElement.get(element)) ?? null;
  }
}
