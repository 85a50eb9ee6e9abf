// From the server's places (code points of a pane's text) to the document and back to the eye: ranges, marks, scrolling.
import { codePoints } from "./geometry.js";

const READING_LINE = 0.3; // of the window's height: where a place is put that one jumps to

// What of a pane's text is shown: as tokens, for reading, or raw.
export function wordsOf(pane) {
  return pane.querySelector(".words:not([hidden])");
}

function length(text) {
  return /[\ud800-\udfff]/.test(text) ? codePoints(text).length : text.length;
}

// The range of characters `from` to `to` of `words`, counted in code points; a mark is the one character that it stands for.
export function rangeIn(words, from, to) {
  const walker = document.createTreeWalker(words, NodeFilter.SHOW_TEXT);
  const range = new Range();
  let seen = 0;
  let begun = false;
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const mark = node.parentElement.classList.contains("mark") ? node.parentElement : null;
    const size = mark ? 1 : length(node.data);
    if (!begun && from < seen + size) {
      if (mark) range.setStartBefore(mark);
      else range.setStart(node, codePoints(node.data).at(from - seen));
      begun = true;
    }
    if (begun && to <= seen + size) {
      if (mark) range.setEndAfter(mark);
      else range.setEnd(node, codePoints(node.data).at(to - seen));
      return range;
    }
    seen += size;
  }
  if (!begun) return null;
  range.setEnd(words, words.childNodes.length);
  return range;
}

// The same in the reading view, whose parts say where they begin; what is typeset is taken whole.
function rangeForReading(words, from, to) {
  let part = words.firstElementChild;
  for (const next of words.children) {
    if (Number(next.dataset.at) > from) break;
    part = next;
  }
  if (!part) return null;
  const at = Number(part.dataset.at);
  const found = part.classList.contains("maths") ? null : rangeIn(part, Math.max(0, from - at), Math.max(1, to - at));
  if (found) return found;
  const range = new Range();
  range.selectNodeContents(part);
  return range;
}

// Characters `start` to `end` of the pane with number `index`; null where they are not on this page.
export function rangeOf({ pane: index, start, end }) {
  const pane = document.getElementById(`pane-${index}`);
  const words = pane && wordsOf(pane);
  if (!words || start < Number(pane.dataset.from) || start >= Number(pane.dataset.to)) return null;
  const first = Number(pane.dataset.from);
  return (words.classList.contains("reading") ? rangeForReading : rangeIn)(words, start - first, end - first);
}

// Where on the screen a range begins; null while it is folded away.
export function topOf(range) {
  return range.getClientRects()[0]?.top ?? null;
}

export const readingLine = () => innerHeight * READING_LINE;

// Unfold what hides `range` and bring it to the reading line. Blocks on the way are laid out late, so it looks again.
export function reveal(range, tries = 4) {
  const holder = range.startContainer.parentElement;
  const fold = holder.closest("details:not([open])");
  if (fold) fold.open = true;
  const top = topOf(range);
  if (top === null || tries === 0) return;
  if (Math.abs(top - readingLine()) > 4) scrollBy(0, top - readingLine());
  requestAnimationFrame(() => Math.abs((topOf(range) ?? readingLine()) - readingLine()) > 40 && reveal(range, tries - 1));
}

// Colour `range` beneath its words, without touching them.
export function mark(range) {
  if ("highlights" in CSS) CSS.highlights.set("place", new Highlight(...(range ? [range] : [])));
}
