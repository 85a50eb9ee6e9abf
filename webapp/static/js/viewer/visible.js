// Hidden characters as named marks: the browser's twin of webapp/traces/visible.py, held to the same cases by a test; its
// comments say what the raw view marks besides.
const HIDDEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const RAW = new RegExp(
  `(?<trail>(?<![ \\t])[ \\t]+(?=\\r?\\n|(?![^])))|${HIDDEN.source}|[\\t\\xa0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\u2400]` +
    "|(?<special><[|｜][^|｜<>\\s]{1,64}[|｜]>)",
  "gu",
);
const SHORT = {
  "\r": "CR", "\x1b": "ESC", "\x00": "NUL", "\x07": "BEL", "\x08": "BS", "\x7f": "DEL", "\xad": "SHY", "\u200b": "ZWSP",
  "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF",
  "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
  "\u2060": "WJ", "\u2028": "LS", "\u2029": "PS",
  "\t": "→", " ": "·", "\xa0": "NBSP", "\u202f": "NNBSP", "\u3000": "IDSP", "\u2400": "NUL?",
};

// A joiner between two characters beyond Latin does honest work (Persian, Hindi, emoji sequences).
function joins(text, at) {
  return at > 0 && at < text.length - 1 && text[at - 1] > "\u0300" && text[at + 1] > "\u0300";
}

// [{text, code}]: a stretch as it is (code ""), or a hidden character's short name and its hexadecimal code.
export function pieces(text) {
  const out = [];
  let position = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const char = match[0];
    if ((char === "\u200c" || char === "\u200d") && joins(text, match.index)) continue;
    if (match.index > position) out.push({ text: text.slice(position, match.index), code: "" });
    out.push(mark(char));
    position = match.index + char.length;
  }
  if (position < text.length) out.push({ text: text.slice(position), code: "" });
  return out;
}

function mark(char) {
  const code = char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return { text: SHORT[char] ?? code, code };
}

// The same for the raw view; a stretch that is written like a special token has isSpecial.
export function rawPieces(text) {
  const out = [];
  let position = 0;
  for (const match of text.matchAll(RAW)) {
    if (match.index > position) out.push({ text: text.slice(position, match.index), code: "" });
    if (match.groups.special) out.push({ text: match[0], code: "", isSpecial: true });
    else out.push(...Array.from(match[0], mark));
    position = match.index + match[0].length;
  }
  if (position < text.length) out.push({ text: text.slice(position), code: "" });
  return out;
}

function nodeOf({ text, code, isSpecial }) {
  if (!code && !isSpecial) return document.createTextNode(text);
  const element = document.createElement("span");
  element.className = isSpecial ? "special" : "mark";
  if (code) {
    element.dataset.code = code;
    element.title = `U+${code}`;
  }
  element.textContent = text;
  return element;
}

// Put `text` into `element`, as text and nothing but text.
export function setText(element, text) {
  if (text.search(HIDDEN) < 0) element.textContent = text;
  else element.replaceChildren(...pieces(text).map(nodeOf));
}

// An element that shows `text` raw.
export function buildRaw(text) {
  const body = document.createElement("div");
  body.className = "words raw";
  body.dir = "auto";
  body.append(...rawPieces(text).map(nodeOf));
  return body;
}

// The text that `element` was made of: marks give their characters back.
export function rawText(element) {
  let text = "";
  for (const node of element.childNodes) {
    text += node.dataset?.code ? String.fromCodePoint(parseInt(node.dataset.code, 16)) : node.textContent;
  }
  return text;
}
