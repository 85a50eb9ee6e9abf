// The tokens of a trace as typed arrays. What is the same in every layer comes at once; routing comes a layer and a window at a time,
// so that a long trace of many layers is never here as a whole. The form of an answer is documented in webapp/traces/wire.py.
import { half, Layer } from "./layer.js";

const TYPES = { int32: Int32Array, uint32: Uint32Array, float32: Float32Array, uint8: Uint8Array, bool: Uint8Array, uint16: Uint16Array, float16: Uint16Array };
const MOST = 8192; // tokens that the server sends at once
const DETAIL = 64; // tokens whose every layer is asked for together
const LAYERS_KEPT = 12;
const DETAILS_KEPT = 24;

// buffer -> {start, stop, routing_count, layers, top_k, token_id, ...}
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  if (![1, 2].includes(header.version)) throw new Error(`version ${header.version}`);
  for (const { name, type, shape, offset } of header.arrays) {
    const size = shape.reduce((product, side) => product * side, 1);
    header[name] = new TYPES[type](buffer, 4 + length + offset, size);
  }
  return header;
}

export class Tokens {
  constructor({ count, window, tokensUrl, version, layers, topK, nExperts }) {
    Object.assign(this, { count, size: window, url: tokensUrl, version, layers: layers ?? [], topK, nExperts });
    for (const name of ["token_id", "text_start", "text_end"]) this[name] = new Int32Array(count);
    for (const name of ["logprob", "entropy"]) this[name] = new Float32Array(count).fill(NaN);
    this.accepted = null; // Uint8Array where it is known
    this.kept = new Map(); // layer id -> Layer, the least recently used first
    this.details = new Map(); // first token -> a promise of a window of all layers
  }

  async fetch(query, signal) {
    const answer = await fetch(`${this.url}?${query}&v=${this.version}`, { signal });
    if (!answer.ok) {
      const body = await answer.json().catch(() => null);
      throw new Error(body?.error ?? `${answer.status} ${answer.statusText}`);
    }
    return decode(await answer.arrayBuffer());
  }

  // All that is not of a layer; `onPart(loaded)` after each answer.
  async load(onPart) {
    let loaded = 0;
    const part = async (start) => {
      const stop = Math.min(start + MOST, this.count);
      this.take(await this.fetch(`start=${start}&stop=${stop}&layer=none`));
      loaded += stop - start;
      onPart(loaded);
    };
    await Promise.all(Array.from({ length: Math.ceil(this.count / MOST) }, (_, n) => part(n * MOST)));
  }

  take(window) {
    for (const name of ["token_id", "text_start", "text_end", "logprob", "entropy"]) this[name].set(window[name], window.start);
    if (!window.accepted) return;
    this.accepted ??= new Uint8Array(this.count);
    this.accepted.set(window.accepted, window.start);
  }

  // The layer as far as it is known; most lately asked for is kept longest.
  layer(id) {
    const layer = this.kept.get(id) ?? new Layer(this.count, this.size, this.topK);
    this.kept.delete(id);
    this.kept.set(id, layer);
    if (this.kept.size > LAYERS_KEPT) this.kept.delete(this.kept.keys().next().value);
    return layer;
  }

  // Make tokens `from` to `to` of a layer known; resolves at once where they are.
  async need(id, from, to, signal, most = MOST) {
    const layer = this.layer(id);
    for (const [start, stop] of layer.missing(from, to, most)) {
      layer.take(await this.fetch(`start=${start}&stop=${stop}&layer=${id}`, signal));
    }
    return layer;
  }

  // The experts of token i in every layer: [[{expert, weight}...]...]; [] where it was not routed.
  async detail(i) {
    const start = i - (i % DETAIL);
    if (!this.details.has(start)) {
      const answer = this.fetch(`start=${start}&stop=${Math.min(start + DETAIL, this.count)}`);
      answer.catch(() => this.details.delete(start));
      this.details.set(start, answer);
      if (this.details.size > DETAILS_KEPT) this.details.delete(this.details.keys().next().value);
    }
    return everyLayer(await this.details.get(start), i - start, this.layers.length, this.topK);
  }
}

// Row `row` of a window of all layers: per layer its experts, strongest first, and what else is known there.
export function everyLayer(window, row, layers, topK) {
  if (!window.expert_ids || row >= window.routing_count) return [];
  return Array.from({ length: layers }, (_, n) => {
    const place = row * layers + n;
    const experts = Array.from({ length: topK }, (__, k) => ({
      expert: window.expert_ids[place * topK + k],
      weight: half(window.gate_weights[place * topK + k]),
    })).sort((a, b) => b.weight - a.weight);
    return {
      experts,
      entropy: window.routing_entropy ? half(window.routing_entropy[place]) : NaN,
      margin: window.routing_margin ? half(window.routing_margin[place]) : NaN,
      swapped: window.swapped ? window.swapped[place] : NaN,
      groups: window.open_groups ? window.open_groups[place] : null,
    };
  });
}
