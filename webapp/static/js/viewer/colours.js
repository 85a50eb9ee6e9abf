// The page's colours as a canvas needs them: read from the style sheets, read again when the theme changes.
import { HUES, LEVELS, STEPS } from "./palette.js";

export class Colours {
  // `onChange()`: after another theme
  constructor(onChange) {
    this.probe = document.createElement("span"); // alone at the end of the page, where a new colour touches nothing else
    this.probe.hidden = true;
    document.body.append(this.probe);
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
    this.probe.style.color = alpha === 1 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${alpha * 100}%, transparent)`;
    return getComputedStyle(this.probe).color;
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
