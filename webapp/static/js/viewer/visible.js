// Hidden characters as named marks: the browser's twin of webapp/traces/visible.py, held to the same cases by a test.
const HIDDEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const SHORT = {
  "\r": "CR", "\x1b": "ESC", "\x00": "NUL", "\x07": "BEL", "\x08": "BS", "\x7f": "DEL", "\xad": "SHY", "\u200b": "ZWSP",
  "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF",
  "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
  "\u2060": "WJ", "\u2028": "LS", "\u2029": "PS",
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
    const code = char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    out.push({ text: SHORT[char] ?? code, code });
    position = match.index + char.length;
  }
  if (position < text.length) out.push({ text: text.slice(position), code: "" });
  return out;
}

// Put `text` into `element`, as text and nothing but text.
export function setText(element, text) {
  if (text.search(HIDDEN) < 0) {
    element.textContent = text;
    return;
  }
  element.replaceChildren(
    ...pieces(text).map((piece) => {
      if (!piece.code) return document.createTextNode(piece.text);
      const mark = document.createElement("span");
      mark.className = "mark";
      mark.dataset.code = piece.code;
      mark.title = `U+${piece.code}`;
      mark.textContent = piece.text;
      return mark;
    }),
  );
}

// The text that `element` was made of: marks give their characters back.
export function rawText(element) {
  let text = "";
  for (const node of element.childNodes) {
    text += node.nodeType === Node.TEXT_NODE ? node.data : String.fromCodePoint(parseInt(node.dataset.code, 16));
  }
  return text;
}
