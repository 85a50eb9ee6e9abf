// What the text and the token ids alone tell of each token: its script, the stretch it lies in, whether it repeats. Pure, no DOM.

export const SCRIPTS = ["latin", "han", "kana", "hangul", "cyrillic", "arabic", "digits", "letters", "signs"];
const LETTERS = [
  /\p{Script=Latin}/u,
  /\p{Script=Han}/u,
  /[\p{Script=Hiragana}\p{Script=Katakana}\u30fc]/u,
  /\p{Script=Hangul}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Arabic}/u,
];
const MOST_PERIOD = 256; // tokens in a turn of a loop
const TURNS = 3; // as often it must come in all
const LEAST = 16; // tokens that come again, or it is not worth a mark

// The place in SCRIPTS of the script that `text` begins with: its first letter decides, then a digit, else it is a sign or a space.
export function scriptOf(text) {
  const letter = /\p{L}/u.exec(text)?.[0];
  if (letter === undefined) return /\p{N}/u.test(text) ? SCRIPTS.indexOf("digits") : SCRIPTS.indexOf("signs");
  const place = LETTERS.findIndex((pattern) => pattern.test(letter));
  return place < 0 ? SCRIPTS.indexOf("letters") : place;
}

// For each token the number of the last of `ranges` ([{start, end}], characters) that it shares a character with; -1 for none.
// The ranges may overlap and come in any order; the tokens are in the order of the text.
export function within(ranges, starts, ends) {
  const out = new Int16Array(starts.length).fill(-1);
  ranges.forEach(({ start, end }, number) => {
    const first = firstEndingAfter(ends, start);
    if (start === end) {
      if (starts.length) out[Math.min(first, starts.length - 1)] = number; // a place, not a stretch: the token that holds it
      return;
    }
    for (let i = first; i < starts.length && starts[i] < end; i++) if (ends[i] > starts[i]) out[i] = number;
  });
  return out;
}

function firstEndingAfter(ends, place) {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] > place) high = middle;
    else low = middle + 1;
  }
  return low;
}

// 1 for each token of a loop: the same tokens at least three times in a row. The shortest turn is tried first.
export function loops(ids) {
  const out = new Uint8Array(ids.length);
  for (let period = 1; period <= Math.min(MOST_PERIOD, ids.length >> 1); period++) {
    const wanted = Math.max((TURNS - 1) * period, LEAST);
    let run = 0;
    for (let i = period; i <= ids.length; i++) {
      if (i < ids.length && ids[i] === ids[i - period]) run++;
      else {
        if (run >= wanted) out.fill(1, i - run - period, i);
        run = 0;
      }
    }
  }
  return out;
}

// The value above which a token forks: the 80th percentile of the entropies of think and answer. Infinity where none is known.
export function forkingAbove(entropy, spoken) {
  const known = entropy.filter((value, i) => spoken[i] && !Number.isNaN(value)).sort();
  return known.length ? known[Math.min(known.length - 1, Math.floor(0.8 * known.length))] : Infinity;
}
