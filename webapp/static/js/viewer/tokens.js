// The tokens of a trace, window by window, as typed arrays. The form is documented in webapp/traces/wire.py.

const TYPES = { int32: Int32Array, float32: Float32Array, uint8: Uint8Array, uint16: Uint16Array, float16: Uint16Array };
let halves = null; // every float16 as a number

function halfTable() {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const sign = bits & 32768 ? -1 : 1;
    if (exponent === 31) halves[bits] = fraction ? NaN : sign * Infinity;
    else halves[bits] = sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14);
  }
  return halves;
}

// buffer -> {start, stop, routing_count, layers, top_k, token_id, ...}
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  if (header.version !== 1) throw new Error(`version ${header.version}`);
  for (const { name, type, shape, offset } of header.arrays) {
    const size = shape.reduce((product, side) => product * side, 1);
    header[name] = new TYPES[type](buffer, 4 + length + offset, size);
  }
  return header;
}

export class Tokens {
  constructor({ count, window, tokensUrl, version, layers, topK }) {
    Object.assign(this, { count, size: window, url: tokensUrl, version, layers, topK });
    this.windows = [];
  }

  get windowCount() {
    return Math.ceil(this.count / this.size);
  }

  async load(k) {
    const start = k * this.size;
    const stop = Math.min(start + this.size, this.count);
    const answer = await fetch(`${this.url}?start=${start}&stop=${stop}&v=${this.version}`);
    if (!answer.ok) {
      const body = await answer.json().catch(() => null);
      throw new Error(body?.error ?? `${answer.status} ${answer.statusText}`);
    }
    this.windows[k] = decode(await answer.arrayBuffer());
    return this.windows[k];
  }

  has(i) {
    return Boolean(this.windows[Math.floor(i / this.size)]);
  }

  value(name, i) {
    const window = this.windows[Math.floor(i / this.size)];
    return window ? window[name][i % this.size] : NaN;
  }

  isRouted(i) {
    const window = this.windows[Math.floor(i / this.size)];
    return Boolean(window?.expert_ids) && i % this.size < window.routing_count;
  }

  // [{expert, weight}] of token i in the n-th router layer, strongest first; [] where it was not routed
  experts(i, n) {
    if (!this.isRouted(i)) return [];
    const window = this.windows[Math.floor(i / this.size)];
    const at = ((i % this.size) * this.layers.length + n) * this.topK;
    const table = halfTable();
    const chosen = [];
    for (let k = at; k < at + this.topK; k++) {
      chosen.push({ expert: window.expert_ids[k], weight: table[window.gate_weights[k]] });
    }
    return chosen.sort((a, b) => b.weight - a.weight);
  }

  // the strongest expert without making a list: the overlay asks for every token at once
  strongest(i, n) {
    if (!this.isRouted(i)) return null;
    const window = this.windows[Math.floor(i / this.size)];
    const at = ((i % this.size) * this.layers.length + n) * this.topK;
    const table = halfTable();
    let best = at;
    for (let k = at + 1; k < at + this.topK; k++) {
      if (table[window.gate_weights[k]] > table[window.gate_weights[best]]) best = k;
    }
    return { expert: window.expert_ids[best], weight: table[window.gate_weights[best]] };
  }

  weightOf(i, n, expert) {
    if (!this.isRouted(i)) return NaN;
    const window = this.windows[Math.floor(i / this.size)];
    const at = ((i % this.size) * this.layers.length + n) * this.topK;
    for (let k = at; k < at + this.topK; k++) if (window.expert_ids[k] === expert) return halfTable()[window.gate_weights[k]];
    return 0;
  }
}
