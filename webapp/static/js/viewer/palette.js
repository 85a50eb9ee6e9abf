// Which colour says what: pure functions. The colours themselves are variables in css/trace.css, so a theme needs no repaint.

export const HUES = 8; // Okabe and Ito's, which the colour-blind can tell apart; black is the text's
export const LEVELS = 4; // each hue again, darker or lighter, with another line beneath
const LINES = ["solid", "dashed", "double", "dotted"];

// An expert's colour and the line beneath its tokens. Beyond HUES x LEVELS both repeat; the number never does.
export function categorical(expert) {
  const level = Math.floor(expert / HUES) % LEVELS;
  return { colour: `var(--cat-${expert % HUES}-${level % 2})`, line: LINES[level] };
}

// 0..1 for `value` between `low` and `high`; NaN stays NaN.
export function scale(value, low, high) {
  return Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
}

// A round number at or above `value`, from 1, 1.5, 2, 3, 5 times a power of ten: the end of a legend.
export function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 5, 10].find((candidate) => candidate * power >= value * (1 - 1e-9));
  return Number((step * power).toPrecision(6));
}

// The value below which `share` of `values` lie; NaN for none. One odd token must not wash out all the others.
export function quantile(values, share) {
  const known = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return known.length ? known[Math.min(known.length - 1, Math.floor(share * known.length))] : NaN;
}

export function number(value, digits = 3) {
  return Number.isNaN(value) || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
}
