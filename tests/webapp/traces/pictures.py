"""What a test asks a page's canvas: scripts for `page.evaluate`."""

_FIND = """
  const find = (selector, words) => {
    const walker = document.createTreeWalker(document.querySelector(selector).querySelector(".words"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const at = walker.currentNode.data.indexOf(words);
      if (at < 0) continue;
      const range = new Range();
      range.setStart(walker.currentNode, at);
      range.setEnd(walker.currentNode, at + words.length);
      return { chunk: walker.currentNode.parentElement.closest(".chunk"), box: range.getBoundingClientRect() };
    }
    throw new Error(`no ${words} in ${selector}`);
  };
"""

# ([selector, words]) -> [x, y]: the middle of the first `words` in the text of `selector`
MIDDLE = f"""([selector, words]) => {{ {_FIND}
  const {{ box }} = find(selector, words);
  return [box.left + box.width / 2, box.top + box.height / 2];
}}"""

# ([selector, words]) -> "rgb(...)": the colour of the line beneath the first `words`; "" where nothing is drawn
LINE = f"""([selector, words]) => {{ {_FIND}
  const {{ chunk, box }} = find(selector, words);
  const canvas = chunk.querySelector("canvas");
  const place = canvas.getBoundingClientRect();
  const scale = canvas.width / place.width;
  const [x, y] = [(box.left + 1 - place.left) * scale, (box.bottom - 1 - place.top) * scale];
  const [r, g, b, a] = canvas.getContext("2d").getImageData(Math.round(x), Math.floor(y), 1, 1).data;
  return a ? `rgb(${{r}}, ${{g}}, ${{b}})` : "";
}}"""

# (selector) -> the picture of the first canvas in it, to be compared; "" where it has none yet
PICTURE = """(selector) => document.querySelector(selector)?.querySelector("canvas")?.toDataURL() ?? \"\""""
