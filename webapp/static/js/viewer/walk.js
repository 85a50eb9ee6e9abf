// From token to token: one of them at a time can be reached by Tab, the arrow keys move on, the pointer looks.
import { acrossLines } from "./geometry.js";

export class Walk {
  // `onLook(i)`: token i is pointed at or focused, null: none is. `onFocus(i)`: the focused token changed.
  constructor(reader, panes, { onLook, onFocus }) {
    Object.assign(this, { reader, panes, onLook, onFocus });
    this.focused = null;
    this.reachable = null;
    reader.addEventListener("pointerover", (event) => this.look(tokenOf(event.target)));
    reader.addEventListener("pointerleave", () => this.look(null));
    reader.addEventListener("focusin", (event) => this.focus(tokenOf(event.target)));
    reader.addEventListener("click", (event) => {
      const i = tokenOf(event.target);
      if (i !== null && getSelection().isCollapsed) this.panes.spans[i].focus({ preventScroll: true });
    });
  }

  look(i) {
    if (i !== null || this.looked !== null) this.onLook(i ?? this.focused);
    this.looked = i;
  }

  focus(i) {
    if (i === null || i === this.focused) return;
    this.reach(i);
    this.focused = i;
    this.onFocus(i);
  }

  // Which token Tab arrives at.
  reach(i) {
    const old = this.panes.spans[this.reachable];
    if (old) old.tabIndex = -1;
    const span = this.panes.spans[i];
    if (!span) return;
    span.tabIndex = 0;
    this.reachable = i;
  }

  go(i) {
    const span = this.panes.spans[i];
    if (!span) return;
    const folded = span.closest("details:not([open])");
    if (folded) folded.open = true;
    span.focus();
    span.scrollIntoView({ block: "nearest" });
  }

  // Sideways by one token, up and down by a line.
  arrow(key) {
    const { spans } = this.panes;
    const from = this.focused ?? this.reachable;
    if (from === null) return false;
    if (this.focused === null) this.go(from);
    else if (key === "ArrowLeft" || key === "ArrowRight") {
      const step = key === "ArrowRight" ? 1 : -1;
      let i = from + step;
      while (i >= 0 && i < spans.length && !spans[i]) i += step;
      this.go(i);
    } else {
      const rectOf = (i) => spans[i]?.getClientRects()[0] ?? null;
      this.go(acrossLines(rectOf, from, key === "ArrowDown" ? 1 : -1, spans.length));
    }
    return true;
  }

  release() {
    if (this.focused === null) return;
    this.panes.spans[this.focused]?.blur();
    this.focused = null;
    this.looked = null;
    this.onFocus(null);
  }
}

function tokenOf(target) {
  const span = target.closest?.(".t");
  return span ? Number(span.dataset.i) : null;
}
