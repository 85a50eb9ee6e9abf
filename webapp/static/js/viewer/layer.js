// The routing of one layer over a trace, filled window by window: pure, no DOM.

export const NOBODY = 0xffff; // no expert: not routed, or not known yet
const EXTRAS = { routing_entropy: Uint16Array, routing_margin: Uint16Array, swapped: Uint8Array, open_groups: Uint32Array };
let halves = null;

// A float16, given by its bits, as a number.
export function half(bits) {
  halves ??= halfTable();
  return halves[bits];
}

function halfTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const sign = bits & 32768 ? -1 : 1;
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else table[bits] = sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14);
  }
  return table;
}

export class Layer {
  // `size`: tokens of a window, the unit in which it is known or not
  constructor(count, size, topK) {
    Object.assign(this, { count, size, topK });
    this.ids = new Uint16Array(count * topK);
    this.weights = new Uint16Array(count * topK); // float16
    this.top = new Uint16Array(count).fill(NOBODY); // the strongest expert
    this.known = new Uint8Array(Math.ceil(count / size));
    this.extras = {}; // name -> array [count], those that the store has
  }

  // Stretches [start, stop) of unknown windows between tokens `from` and `to`, each at most `most` tokens.
  missing(from, to, most) {
    const out = [];
    const last = Math.min(this.known.length, Math.ceil(to / this.size));
    for (let w = Math.max(0, Math.floor(from / this.size)); w < last; w++) {
      if (this.known[w]) continue;
      const start = w * this.size;
      const stop = Math.min(start + this.size, this.count);
      const before = out.at(-1);
      if (before && before[1] === start && stop - before[0] <= most) before[1] = stop;
      else out.push([start, stop]);
    }
    return out;
  }

  knows(from, to) {
    return this.missing(from, to, this.size).length === 0;
  }

  get isComplete() {
    return this.known.every(Boolean);
  }

  // An answer for whole windows of this layer alone: expert_ids and gate_weights [n, 1, K].
  take(window) {
    const { start, stop } = window;
    for (let w = Math.floor(start / this.size); w * this.size < stop; w++) this.known[w] = 1;
    if (!window.expert_ids) return;
    this.ids.set(window.expert_ids, start * this.topK);
    this.weights.set(window.gate_weights, start * this.topK);
    for (const [name, Type] of Object.entries(EXTRAS)) {
      if (!window[name]) continue;
      this.extras[name] ??= new Type(this.count);
      this.extras[name].set(window[name], start);
    }
    for (let i = start; i < start + window.routing_count; i++) this.top[i] = this.ids[this.strongest(i)];
  }

  strongest(i) {
    let best = i * this.topK;
    for (let k = best + 1; k < (i + 1) * this.topK; k++) if (half(this.weights[k]) > half(this.weights[best])) best = k;
    return best;
  }

  isRouted(i) {
    return this.top[i] !== NOBODY;
  }

  topWeight(i) {
    return this.isRouted(i) ? half(this.weights[this.strongest(i)]) : NaN;
  }

  weightOf(i, expert) {
    if (!this.isRouted(i)) return NaN;
    for (let k = i * this.topK; k < (i + 1) * this.topK; k++) if (this.ids[k] === expert) return half(this.weights[k]);
    return 0;
  }

  // [{expert, weight}], strongest first
  experts(i) {
    if (!this.isRouted(i)) return [];
    const chosen = [];
    for (let k = i * this.topK; k < (i + 1) * this.topK; k++) chosen.push({ expert: this.ids[k], weight: half(this.weights[k]) });
    return chosen.sort((a, b) => b.weight - a.weight);
  }

  // How many of token i's experts the token before did not have.
  changed(i) {
    if (i === 0 || !this.isRouted(i) || !this.isRouted(i - 1)) return NaN;
    let fresh = this.topK;
    for (let k = i * this.topK; k < (i + 1) * this.topK; k++) {
      for (let b = (i - 1) * this.topK; b < i * this.topK; b++) {
        if (this.ids[b] === this.ids[k]) {
          fresh--;
          break;
        }
      }
    }
    return fresh;
  }

  extra(name, i) {
    const array = this.extras[name];
    if (!array || !this.isRouted(i)) return NaN;
    return array instanceof Uint16Array ? half(array[i]) : array[i];
  }
}
