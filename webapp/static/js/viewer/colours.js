// The page's colours as a canvas needs them: read from the style sheets, read again when the theme changes.
import { HUES, LEVELS, STEPS } from "./palette.js";

export class Colours {
  // `host`: an element on which the variables of css/trace.css hold; `onChange()` after another theme
  constructor(host, onChange) {
    this.host = host;
    const again = () => {
      this.cache = new Map();
      onChange();
    };
    this.cache = new Map();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  // A variable's colour with `alpha`, as the canvas takes it.
  get(name, alpha = 1) {
    const key = `${name} ${alpha}`;
    if (!this.cache.has(key)) this.cache.set(key, this.resolve(name, alpha));
    return this.cache.get(key);
  }

  // light-dark() is resolved in a property that takes a colour, not in the variable itself
  resolve(name, alpha) {
    const probe = document.createElement("span");
    probe.style.color = alpha === 1 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${alpha * 100}%, transparent)`;
    this.host.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }

  category(number, alpha) {
    return this.get(`--cat-${number % HUES}-${Math.floor(number / HUES) % 2}`, alpha);
  }

  // The line beneath a category: each eight have another.
  static line(number) {
    return ["solid", "dashed", "double", "dotted"][Math.floor(number / HUES) % LEVELS];
  }

  ramp(name, share, depth) {
    return this.get(name, Math.round(share * STEPS) / STEPS * depth);
  }
}
