// Where things are in a text: pure arithmetic, no DOM. Positions that come from the server count code points.

// Code point index -> UTF-16 index. Without astral characters they are the same and no table is made.
export function codePoints(text) {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return { length: text.length, at: (index) => index };
  const table = [];
  for (let i = 0; i < text.length; i += text.codePointAt(i) > 0xffff ? 2 : 1) table.push(i);
  table.push(text.length);
  return { length: table.length - 1, at: (index) => table[index] };
}

// What a pane shows of a token. All in code points from the pane's beginning: the token's [start, end), the pane's
// `length`, and `position`, up to which it is filled. Returns [from, to] (from = to: nothing of its own), null: elsewhere.
export function share(start, end, position, length, isLast) {
  const inside = start >= 0 && (start < length || (isLast && start === length));
  if (start === end) return inside ? [Math.max(start, position), Math.max(start, position)] : null;
  const from = Math.max(start, position);
  const to = Math.min(end, length);
  if (to > from && end > 0) return [from, to];
  return inside && start < length ? [position, position] : null; // covered by the token before, e.g. bytes of one character
}

// The index in `rects` of the nearest one on the next line below (step 1) or above (step -1) `from`; -1 when there is none.
export function acrossLines(rectOf, from, step, count) {
  const here = rectOf(from);
  if (!here) return -1;
  const middle = (here.left + here.right) / 2;
  let best = -1;
  let line = null;
  for (let i = from + step; i >= 0 && i < count; i += step) {
    const rect = rectOf(i);
    if (!rect) continue;
    if (line === null) {
      const isBeyond = step > 0 ? rect.top >= here.bottom - 2 : rect.bottom <= here.top + 2;
      if (!isBeyond) continue;
      line = rect;
    }
    const hasLeft = step > 0 ? rect.top >= line.bottom - 2 : rect.bottom <= line.top + 2;
    if (hasLeft) break;
    if (best < 0 || distance(rect, middle) < distance(rectOf(best), middle)) best = i;
  }
  return best;
}

function distance(rect, x) {
  return Math.max(rect.left - x, x - rect.right, 0);
}

// Every place of `needle` in `text` as [start, end), letter case ignored, at most `most`.
export function places(text, needle, most = 5000) {
  if (!needle) return [];
  const pattern = new RegExp(needle.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "giu");
  const found = [];
  for (const match of text.matchAll(pattern)) {
    found.push([match.index, match.index + match[0].length]);
    if (found.length >= most) break;
  }
  return found;
}
