// Draws a chunk's canvas: what each token shows of a kind (see kinds.js). Colour is never alone: a category has its own line
// beneath, a measure fills the token from below.
import { Colours } from "./colours.js";
import { scale, STEPS } from "./palette.js";

const TINT = 0.25;
const DEPTH = 0.55;
const LINE = 2; // CSS pixels

export class Painter {
  constructor(colours) {
    this.colours = colours;
  }

  // `kind` of kinds.js; `data`: what it reads, with `high`, the end of its range
  draw(chunk, kind, data) {
    const boxes = chunk.boxes ?? chunk.measure();
    const context = chunk.surface();
    if (!context) return;
    const draw = { category: this.category, scale: this.measure, stripes: this.stripes }[kind.form];
    for (let b = 0; b < boxes.length; b += 5) {
      const i = chunk.tokens[boxes[b]];
      const text = chunk.raw.slice(chunk.starts[boxes[b]], chunk.ends[boxes[b]]);
      const box = { x: boxes[b + 1], y: boxes[b + 2], width: boxes[b + 3], height: boxes[b + 4] };
      const sign = text === "" ? "▏" : /^\s*\n\s*$/.test(text) ? "↵" : "";
      if (sign) this.sign(context, box, sign);
      draw?.call(this, context, box, i, kind, data);
      if (kind.isMarked?.(data, i) && boxes[b] !== boxes[b - 5]) this.mark(context, box);
    }
  }

  // What has no ink of its own gets a sign, and with it a place for colour.
  sign(context, box, sign) {
    context.fillStyle = this.colours.get("--ink-soft", 0.55);
    context.font = `${box.height * 0.62}px sans-serif`;
    context.fillText(sign, box.x, box.y + box.height * 0.8);
    box.width = Math.max(box.width, box.height * 0.55);
  }

  category(context, box, i, kind, data) {
    const number = kind.category(data, i);
    if (number < 0) return;
    context.fillStyle = this.colours.category(number, TINT);
    context.fillRect(box.x, box.y, box.width, box.height);
    this.line(context, box.x, box.y + box.height - LINE, box.width, number);
  }

  line(context, x, y, width, number, thickness = LINE) {
    const style = Colours.line(number);
    context.fillStyle = this.colours.category(number);
    if (style === "double") {
      context.fillRect(x, y, width, 1);
      context.fillRect(x, y - 2, width, 1);
    } else if (style === "solid") context.fillRect(x, y, width, thickness);
    else {
      const [dash, gap] = style === "dashed" ? [5, 2] : [2, 2];
      for (let at = 0; at < width; at += dash + gap) context.fillRect(x + at, y, Math.min(dash, width - at), thickness);
    }
  }

  measure(context, box, i, kind, data) {
    const value = kind.value(data, i);
    if (Number.isNaN(value)) return;
    const share = Math.round(scale(kind.isDeepLow ? data.high - value : value, 0, data.high) * STEPS) / STEPS;
    if (!share) return;
    context.fillStyle = this.colours.ramp(kind.ramp, share, DEPTH);
    context.fillRect(box.x, box.y, box.width, box.height);
    context.fillStyle = this.colours.get(kind.ramp);
    const height = share * box.height * 0.25;
    context.fillRect(box.x, box.y + box.height - height, box.width, height);
  }

  // Parts side by side beneath the token, each as wide as its share.
  stripes(context, box, i, kind, data) {
    const parts = kind.parts(data, i);
    const total = parts.reduce((sum, part) => sum + part.share, 0);
    const height = Math.max(4, box.height * 0.24);
    let x = box.x;
    for (const { category, share } of total > 0 ? parts : []) {
      const width = (share / total) * box.width;
      if (category >= 0) {
        context.fillStyle = this.colours.category(category, 0.9);
        context.fillRect(x, box.y + box.height - height + LINE, Math.max(width - (width > 3 ? 1 : 0), 0.5), height);
      }
      x += width;
    }
  }

  // A notch on the token's upper left corner.
  mark(context, box) {
    context.fillStyle = this.colours.get("--ink");
    context.beginPath();
    context.moveTo(box.x, box.y - 3);
    context.lineTo(box.x + 7, box.y - 3);
    context.lineTo(box.x, box.y + 4);
    context.fill();
  }
}
