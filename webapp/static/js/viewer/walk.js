// From token to token: one of them at a time can be reached by Tab, the arrow keys move on, the pointer looks.
import { acrossLines } from "./geometry.js";

export class Walk {
  // `onLook(i)`: token i is pointed at or focused. `onFocus(i)`: the focused token changed, null: none is. `words.token`: its name.
  constructor(reader, panes, { onLook, onFocus, words }) {
    Object.assign(this, { reader, panes, onLook, onFocus, words });
    this.focused = null;
    this.reachable = null;
    this.looked = null;
    this.cursor = element("t"); // the one token that has the focus, or gets it by Tab
    this.cursor.tabIndex = 0;
    this.cursor.setAttribute("role", "img");
    this.hover = element("hovered");
    reader.addEventListener("pointermove", (event) => this.point(event));
    reader.addEventListener("pointerleave", () => this.look(null));
    reader.addEventListener("click", (event) => this.click(event));
    this.cursor.addEventListener("focus", () => this.focus(this.reachable));
    this.sizes = new ResizeObserver(() => this.stand(this.reachable));
  }

  point(event) {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.look(this.tokenAt(event));
    });
  }

  tokenAt({ target, clientX, clientY }) {
    return this.panes.chunkAt(target)?.at(clientX, clientY) ?? null;
  }

  click(event) {
    const i = this.tokenAt(event);
    if (i === null || !getSelection().isCollapsed) return;
    this.reach(i);
    this.cursor.focus({ preventScroll: true });
    this.focus(i);
  }

  look(i) {
    if (i === this.looked) return;
    this.looked = i;
    const chunk = i === null ? null : this.panes.chunkOf(i);
    if (chunk) put(this.hover, chunk, i);
    else this.hover.remove();
    const seen = i ?? this.focused;
    if (seen !== null) this.onLook(seen);
  }

  focus(i) {
    if (i === null || i === this.focused) return;
    this.focused = i;
    this.onFocus(i);
  }

  // Which token Tab arrives at.
  reach(i) {
    const chunk = this.panes.chunkOf(i);
    if (!chunk) return false;
    if (this.host && this.host !== chunk) this.sizes.unobserve(this.host.element);
    this.reachable = i;
    this.cursor.dataset.i = i;
    this.cursor.setAttribute("aria-label", this.words.token.replace("{n}", i).replace("{text}", chunk.text(i)));
    this.stand(i);
    if (this.host !== chunk) this.sizes.observe(chunk.element);
    this.host = chunk;
    return true;
  }

  stand(i) {
    const chunk = this.panes.chunkOf(i);
    if (chunk) put(this.cursor, chunk, i);
  }

  go(i) {
    const chunk = this.panes.chunkOf(i);
    if (!chunk) return;
    const folded = chunk.element.closest("details:not([open])");
    if (folded) folded.open = true;
    this.reach(i);
    this.cursor.focus({ preventScroll: true });
    this.cursor.scrollIntoView({ block: "nearest" });
    this.focus(i);
  }

  // Sideways by one token, up and down by a line.
  arrow(key) {
    const from = this.focused ?? this.reachable;
    if (from === null || !this.panes.ends) return false;
    const [first, last] = this.panes.ends;
    const step = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
    if (this.focused === null) this.go(from);
    else if (key === "ArrowLeft" || key === "ArrowRight") {
      let i = from + step;
      while (i >= first && i <= last && !this.panes.chunkOf(i)) i += step;
      this.go(i);
    } else {
      this.cornerOf = null; // the page may have scrolled since
      this.go(acrossLines((i) => this.rect(i), from, step, last + 1));
    }
    return true;
  }

  // Token i's first box in the window; null where it has none.
  rect(i) {
    const chunk = this.panes.chunkOf(i);
    const box = chunk?.box(i);
    if (!box || !box.height) return null;
    if (this.cornerOf !== chunk) Object.assign(this, { cornerOf: chunk, corner: chunk.element.getBoundingClientRect() });
    const [left, top] = [this.corner.left + box.x, this.corner.top + box.y];
    return { left, top, right: left + box.width, bottom: top + box.height };
  }

  release() {
    if (this.focused === null) return;
    this.cursor.blur();
    this.focused = null;
    this.looked = null;
    this.onFocus(null);
  }
}

function element(name) {
  const made = document.createElement("span");
  made.className = name;
  return made;
}

// `mark` onto token i of `chunk`, as large as its first box.
function put(mark, chunk, i) {
  if (mark.parentElement !== chunk.element) chunk.element.prepend(mark);
  const box = chunk.box(i) ?? { x: 0, y: 0, width: 0, height: 16 };
  Object.assign(mark.style, { left: `${box.x}px`, top: `${box.y}px`, width: `${Math.max(box.width, 6)}px`, height: `${box.height}px` });
}
