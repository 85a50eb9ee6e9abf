// All that is known of one token: its text, id, chances, and in every layer its experts with their weights.
import { expertClass, number } from "./palette.js";
import { setText } from "./visible.js";

const SPACES = { " ": "␣", "\n": "↵", "\t": "⇥" };

export class Inspector {
  constructor(element, tokens, words) {
    Object.assign(this, { element, tokens, words });
    this.slots = Object.fromEntries([...element.querySelectorAll("[data-slot]")].map((slot) => [slot.dataset.slot, slot]));
  }

  show(i, text, layer) {
    const { slots, tokens, words } = this;
    const logprob = tokens.value("logprob", i);
    this.element.hidden = false;
    this.element.classList.add("open");
    slots.number.textContent = words.token.replace("{n}", i).replace("{count}", tokens.count);
    setText(slots.text, text === "" ? words.empty : [...text].map((char) => SPACES[char] ?? char).join(""));
    slots.text.classList.toggle("soft", text === "");
    slots.id.textContent = tokens.value("token_id", i);
    slots.logprob.textContent = number(logprob);
    slots.probability.textContent = Number.isNaN(logprob) ? "–" : `${(Math.exp(logprob) * 100).toPrecision(3)} %`;
    slots.entropy.textContent = number(tokens.value("entropy", i));
    slots.unknown.textContent = Number.isNaN(logprob) ? words.unknown : "";
    if (slots.routing) this.showRouting(i, layer);
  }

  showRouting(i, layer) {
    const { slots, tokens, words } = this;
    const routed = tokens.isRouted(i);
    slots.unrouted.textContent = routed ? "" : words.notRouted;
    slots.routing.replaceChildren(
      ...tokens.layers.map((id, n) => {
        const row = document.createElement("tr");
        row.classList.toggle("current", n === layer);
        const head = document.createElement("th");
        head.scope = "row";
        head.textContent = words.layer.replace("{id}", id);
        const cell = document.createElement("td");
        cell.append(...tokens.experts(i, n).map(bar));
        row.append(head, cell);
        return row;
      }),
    );
    this.keepInView(slots.routing.children[layer]);
  }

  // With many layers the table scrolls by itself; the chosen layer stays in sight.
  keepInView(row) {
    const box = row?.closest("table");
    if (!box || box.scrollHeight <= box.clientHeight) return;
    const top = row.offsetTop - box.offsetTop;
    if (top < box.scrollTop || top + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top - 24;
  }

  close() {
    this.element.classList.remove("open");
  }
}

// an expert with its weight as a number and as a bar
function bar({ expert, weight }) {
  const item = document.createElement("span");
  item.className = `weight ${expertClass(expert)}`;
  item.style.setProperty("--w", String(Math.min(1, weight)));
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = `e${expert}`;
  const value = document.createElement("span");
  value.className = "value";
  value.textContent = weight.toFixed(2).replace(/^0/, "");
  item.append(name, value);
  return item;
}
