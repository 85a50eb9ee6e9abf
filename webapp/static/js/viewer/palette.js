// Which colour says what: pure functions. The colours themselves are variables in css/trace.css and css/overlay.css, so a theme needs no repaint.

export const HUES = 8; // Okabe and Ito's, which the colour-blind can tell apart; black is the text's
export const LEVELS = 4; // each hue again, darker or lighter, with another line beneath
export const STEPS = 16;

// The class of an expert: its colour and the line beneath it. Beyond HUES x LEVELS they repeat; the number never does.
export function expertClass(expert) {
  return `x${expert % (HUES * LEVELS)}`;
}

// The class of a share between 0 and 1; none where it is not known.
export function stepClass(share) {
  return Number.isNaN(share) ? "" : `s${Math.round(share * STEPS)}`;
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
  return Number.isNaN(value) || value === undefined ? "–" : value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−");
}
