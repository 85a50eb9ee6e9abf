// The picture of the map, drawn on its canvas.
import { HUES, LEVELS, scale } from "./palette.js";

const EDGE = 5; // CSS pixels left for the segments, right for the findings
const UNKNOWN = 255;
const TOP = 254;
const RAMP = 32; // steps of a measure

export class MapPicture {
  constructor(canvas, colours) {
    Object.assign(this, { canvas, colours });
  }

  begin() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.scale(ratio, ratio);
    return { context, left: EDGE, width: width - 2 * EDGE, height };
  }

  // A server's map [bins, L]; the chosen layer's column is set off, and of the experts only `expert`, if one is chosen.
  layered({ map, bins, layers }, kind, chosen, expert) {
    const { context, left, width, height } = this.begin();
    const across = width / layers.length;
    const only = expert === "" ? null : expert % (HUES * LEVELS);
    const table = this.table(kind, only);
    const picture = new ImageData(layers.length, bins);
    new Uint32Array(picture.data.buffer).set(Uint32Array.from(map, (cell) => table[cell]));
    const small = new OffscreenCanvas(layers.length, bins);
    small.getContext("2d").putImageData(picture, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, left, 0, width, height);
    context.strokeStyle = this.colours.get("--ink");
    context.strokeRect(left + chosen * across - 0.5, 0.5, Math.max(across, 2) + 1, height - 1);
  }

  // Every cell's colour as the pixel of an image; nothing for what is not known or not asked for.
  table(kind, only) {
    const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    return Uint32Array.from({ length: UNKNOWN + 1 }, (_, cell) => {
      const isCategory = kind.form !== "scale";
      if (cell === UNKNOWN || (isCategory && (cell >= HUES * LEVELS || (only !== null && cell !== only)))) return 0;
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = this.cell(kind, cell);
      pixel.fillRect(0, 0, 1, 1);
      return new Uint32Array(pixel.getImageData(0, 0, 1, 1).data.buffer)[0];
    });
  }

  cell(kind, cell) {
    if (kind.form !== "scale") return this.colours.category(cell, 0.85);
    return this.share(kind, kind.isDeepLow ? 1 - cell / TOP : cell / TOP);
  }

  share(kind, share) {
    return this.colours.get(kind.ramp, Math.round(share * RAMP) / RAMP);
  }

  // What is the same in every layer: one column, from what the page knows.
  plain(kind, facts, bins) {
    const { context, left, width, height } = this.begin();
    if (kind.form === "none") return;
    const { count } = facts.tokens;
    const down = height / bins;
    for (let b = 0; b < bins; b++) {
      const [from, to] = [Math.floor((b * count) / bins), Math.floor(((b + 1) * count) / bins)];
      const colour = kind.form === "scale" ? this.mean(kind, facts, from, to) : this.most(kind, facts, from, to);
      if (!colour) continue;
      context.fillStyle = colour;
      context.fillRect(left, b * down, width, down + 0.3);
    }
  }

  mean(kind, facts, from, to) {
    let [sum, known] = [0, 0];
    for (let i = from; i < to; i++) {
      const value = kind.value(facts, i);
      if (Number.isNaN(value)) continue;
      sum += value;
      known++;
    }
    return known ? this.share(kind, scale(sum / known, 0, facts.high)) : "";
  }

  most(kind, facts, from, to) {
    const counts = new Map();
    for (let i = from; i < to; i++) {
      const number = kind.category(facts, i);
      if (number >= 0) counts.set(number, (counts.get(number) ?? 0) + 1);
    }
    if (!counts.size) return "";
    return this.colours.category([...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0], 0.85);
  }

  // Segments as a band on the left, findings as notches on the right.
  edges({ tokens, segment, findings, finding }) {
    const context = this.canvas.getContext("2d");
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const kinds = ["--edge-strong", "--note", "--good", "--edge"];
    for (let y = 0; y < height; y++) {
      const i = Math.min(tokens.count - 1, Math.floor((y / height) * tokens.count));
      if (segment[i] < 0) continue;
      context.fillStyle = this.colours.get(kinds[segment[i]]);
      context.fillRect(0, y, EDGE - 2, 1);
    }
    context.fillStyle = this.colours.get("--warn");
    for (const n of findings.keys()) {
      const i = finding.indexOf(n);
      if (i < 0) continue;
      const y = (i / tokens.count) * height;
      context.beginPath();
      context.moveTo(width, Math.max(0, y - 4));
      context.lineTo(width, Math.min(height, y + 4));
      context.lineTo(width - EDGE - 2, y);
      context.fill();
    }
  }
}
