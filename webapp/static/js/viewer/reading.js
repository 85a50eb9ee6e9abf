// The reading view: mathematics typeset, fenced code as code, everything else as the text it is. Nothing becomes markup.
import { codePoints } from "./geometry.js";
import { setText } from "./visible.js";

const MOST_FORMULA = 2000; // characters; longer ones stay text
const OPTIONS = { trust: false, strict: "ignore", throwOnError: false, maxSize: 20, maxExpand: 200, output: "html", errorColor: "inherit" };
const FENCE = /^(`{3,}|~{3,})([^\n`]*)\n([\s\S]*?)(?:\n\1[^\S\n]*$|$(?![\s\S]))/gm;
const MATHS = [
  /\$\$([\s\S]+?)\$\$/y,
  /\\\[([\s\S]+?)\\\]/y,
  /\\\(([\s\S]+?)\\\)/y,
  /(\\begin\{((?:align|aligned|equation|gather|cases|array|matrix|pmatrix|bmatrix|vmatrix)\*?)\}[\s\S]+?\\end\{\2\})/y,
  /\$(?![\s$])((?:[^$\n\\]|\\[^\n])+?)(?<!\s)\$(?!\d)/y, // a price is not a formula: no space inside, no figure after
  /(\\boxed\{(?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]*\})*\})*\})/y,
];
const BLOCK = new Set([0, 1, 3]);

// [{kind: "text"|"code"|"maths", text, tex, isBlock, note}], whose texts joined give `text` back.
export function parts(text) {
  const out = [];
  let position = 0;
  for (const match of text.matchAll(FENCE)) {
    maths(text.slice(position, match.index), out);
    out.push({ kind: "code", text: match[0], code: match[3], note: match[2].trim() });
    position = match.index + match[0].length;
  }
  maths(text.slice(position), out);
  return out;
}

function maths(text, out) {
  let plain = 0;
  const opener = /[$\\]/g;
  while (opener.exec(text)) {
    const at = opener.lastIndex - 1;
    const found = formulaAt(text, at);
    if (!found) {
      if (text[at] === "\\") opener.lastIndex = at + 2; // an escaped dollar opens nothing
      continue;
    }
    if (at > plain) out.push({ kind: "text", text: text.slice(plain, at) });
    out.push(found);
    plain = opener.lastIndex = at + found.text.length;
  }
  if (plain < text.length) out.push({ kind: "text", text: text.slice(plain) });
}

function formulaAt(text, at) {
  for (const [n, pattern] of MATHS.entries()) {
    pattern.lastIndex = at;
    const match = pattern.exec(text.length - at > MOST_FORMULA * 2 ? text.slice(0, at + MOST_FORMULA * 2) : text);
    if (match && match[1].length <= MOST_FORMULA) return { kind: "maths", text: match[0], tex: match[1], isBlock: BLOCK.has(n) };
  }
  return null;
}

let watcher = null;

// A formula is typeset when it comes near the screen; until then, and where that fails, it is its source.
function typesetLater(element, tex, isBlock) {
  element.typeset = () => {
    try {
      window.katex.render(tex, element, { ...OPTIONS, displayMode: isBlock });
    } catch {
      element.classList.add("failed");
    }
  };
  watcher ??= new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        watcher.unobserve(target);
        target.typeset();
      }
    },
    { rootMargin: "600px" },
  );
  watcher.observe(element);
}

// A block brings its own line breaks, so those of the text around it would be seen twice. `at`: where what is shown begins in
// the parts' texts joined (UTF-16), after `lead`.
export function withoutBreaks(list, lead = 0) {
  const isBlock = (part) => part && (part.kind === "code" || part.isBlock);
  let next = lead;
  return list.map((part, n) => {
    const begin = next;
    next += part.text.length;
    if (part.kind === "code") return { ...part, at: begin + part.text.indexOf("\n") + 1 };
    if (part.kind === "maths") return { ...part, at: begin };
    const first = isBlock(list[n - 1]) ? /^[^\S\n]*\n/.exec(part.text)?.[0].length ?? 0 : 0;
    const last = isBlock(list[n + 1]) ? /\n[^\S\n]*$/.exec(part.text)?.index ?? part.text.length : part.text.length;
    return { ...part, text: part.text.slice(first, Math.max(first, last)), at: begin + first };
  });
}

function elementOf(part) {
  const element = document.createElement(part.kind === "code" ? "pre" : "span");
  if (part.kind === "maths") {
    element.className = part.isBlock ? "maths block" : "maths";
    element.title = part.text.length > 300 ? `${part.text.slice(0, 300)} …` : part.text;
  } else if (part.kind === "code") {
    element.className = "code";
    element.tabIndex = 0; // it may scroll sideways
    if (part.note) element.dataset.note = part.note.slice(0, 40);
  }
  setText(element, part.kind === "code" ? part.code : part.text);
  if (part.kind === "maths" && window.katex) typesetLater(element, part.tex, part.isBlock);
  return element;
}

// An element that shows `text` for reading, without the empty lines around it. Each part says where in `text` it begins, in code points.
export function build(text) {
  const body = document.createElement("div");
  body.className = "words reading";
  body.dir = "auto";
  const lead = /^\s*\n/.exec(text)?.[0].length ?? 0;
  let [points, place] = [0, 0];
  for (const part of withoutBreaks(parts(text.slice(lead).replace(/\s+$/, "")), lead)) {
    points += codePoints(text.slice(place, part.at)).length;
    place = part.at;
    const element = elementOf(part);
    element.dataset.at = points;
    body.append(element);
  }
  return body;
}
