// Find in the trace: every place is marked without touching the text (CSS highlights), Enter walks from one to the next.
import { places } from "./geometry.js";

export class Find {
  constructor(reader, form, words) {
    Object.assign(this, { reader, form, words });
    this.field = form.querySelector("input");
    this.count = form.querySelector("output");
    this.ranges = [];
    this.current = -1;
    this.field.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), 120);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.next(1);
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.clear();
      else if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        this.next(-1);
      }
    });
  }

  open() {
    this.field.focus();
    this.field.select();
  }

  clear() {
    this.field.value = "";
    this.search();
    this.field.blur();
  }

  search() {
    clearTimeout(this.timer); // whoever did not wait for it is not sent back by it
    const needle = this.field.value;
    this.searched = needle;
    this.ranges = [];
    for (const pane of this.reader.querySelectorAll(".words:not([hidden])")) this.collect(pane, needle);
    // begin with what is not folded away
    this.current = Math.max(0, this.ranges.findIndex((range) => !folded(range))) - 1;
    if (this.ranges.length) this.next(1);
    else this.show();
  }

  // The text has been built anew: the same places again, and the same one of them.
  again() {
    const { current } = this;
    this.search();
    if (current < 0 || current >= this.ranges.length) return;
    this.current = current - 1;
    this.next(1);
  }

  // Places may run over several spans, so the text nodes of a pane are searched as one text.
  collect(pane, needle) {
    const walker = document.createTreeWalker(pane, NodeFilter.SHOW_TEXT, (node) =>
      node.parentElement.closest(".mark, .katex") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
    );
    const nodes = [];
    const starts = [];
    let text = "";
    while (walker.nextNode()) {
      nodes.push(walker.currentNode);
      starts.push(text.length);
      text += walker.currentNode.data;
    }
    let n = 0;
    const locate = (position, isEnd) => {
      while (n + 1 < nodes.length && (isEnd ? starts[n + 1] < position : starts[n + 1] <= position)) n++;
      return [nodes[n], position - starts[n]];
    };
    for (const [start, end] of places(text, needle)) {
      const range = new Range();
      range.setStart(...locate(start, false));
      range.setEnd(...locate(end, true));
      this.ranges.push(range);
    }
  }

  next(step) {
    if (this.field.value !== this.searched) {
      this.search();
      return;
    }
    if (!this.ranges.length) return;
    this.current = (this.current + step + this.ranges.length) % this.ranges.length;
    const range = this.ranges[this.current];
    const fold = folded(range);
    if (fold) fold.open = true;
    const holder = range.startContainer.parentElement;
    if (holder.closest(".chunk")) scrollBy({ top: range.getBoundingClientRect().top - innerHeight / 2, behavior: "instant" });
    else holder.scrollIntoView({ block: "center" });
    this.show();
  }

  show() {
    const { ranges, current } = this;
    if (this.searched) {
      const words = this.words.found.replace("{n}", current + 1).replace("{count}", ranges.length);
      this.count.textContent = ranges.length ? words : this.words.notFound;
    } else this.count.textContent = "";
    if (!("highlights" in CSS)) return;
    CSS.highlights.set("found", new Highlight(...ranges));
    CSS.highlights.set("found-current", new Highlight(...(current < 0 ? [] : [ranges[current]])));
  }
}

function folded(range) {
  return range.startContainer.parentElement.closest("details:not([open])");
}
