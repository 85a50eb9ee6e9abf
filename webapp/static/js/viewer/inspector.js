// All that is known of one token: its text, id, chances, and in every layer its experts with their weights.
import { expertClass, number } from "./palette.js";
import { setText } from "./visible.js";

const SPACES = { " ": "␣", "\n": "↵", "\t": "⇥" };

export class Inspector {
  // `tell(i)`: what the chosen kind says of token i, in words
  constructor(element, tokens, words, tell) {
    Object.assign(this, { element, tokens, words, tell });
    this.slots = Object.fromEntries([...element.querySelectorAll("[data-slot]")].map((slot) => [slot.dataset.slot, slot]));
    this.token = null;
  }

  show(i, text, layer) {
    const { slots, tokens, words } = this;
    const logprob = tokens.logprob[i];
    this.element.hidden = false;
    this.element.classList.add("open");
    slots.number.textContent = words.token.replace("{n}", i).replace("{count}", tokens.count);
    setText(slots.text, text === "" ? words.empty : [...text].map((char) => SPACES[char] ?? char).join(""));
    slots.text.classList.toggle("soft", text === "");
    slots.id.textContent = tokens.token_id[i];
    slots.logprob.textContent = number(logprob);
    slots.probability.textContent = Number.isNaN(logprob) ? "–" : `${(Math.exp(logprob) * 100).toPrecision(3)} %`;
    slots.entropy.textContent = number(tokens.entropy[i]);
    slots.unknown.textContent = Number.isNaN(logprob) ? words.unknown : "";
    slots.shown.textContent = this.tell(i);
    const isSame = this.token === i;
    this.token = i;
    if (!slots.routing) return;
    if (isSame && this.routed) this.choose(layer);
    else this.findRouting(i, layer);
  }

  // The routing of every layer is asked for when a token is looked at; until it is here the last one stands.
  async findRouting(i, layer) {
    this.routed = false;
    const list = await this.tokens.detail(i).catch(() => []);
    if (this.token !== i) return;
    this.routed = true;
    this.slots.unrouted.textContent = list.length ? "" : this.words.notRouted;
    this.slots.routing.replaceChildren(...this.tokens.layers.map((id, n) => this.row(id, list[n])));
    this.choose(layer);
  }

  row(id, known) {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = this.words.layer.replace("{id}", id);
    const cell = document.createElement("td");
    cell.append(...(known?.experts ?? []).map(bar));
    const said = known ? this.measures(known) : "";
    if (said) {
      const note = document.createElement("span");
      note.className = "soft measures";
      note.textContent = said;
      cell.append(note);
    }
    row.append(head, cell);
    return row;
  }

  // What else the store knows of a layer, in words.
  measures({ entropy, margin, swapped, groups }) {
    const { words } = this;
    const said = [];
    if (!Number.isNaN(entropy)) said.push(words.saidEntropy.replace("{value}", number(entropy, 2)));
    if (Number.isFinite(margin)) said.push(words.saidMargin.replace("{value}", number(margin, 3)));
    if (swapped > 0) said.push(words.saidSwapped.replace("{value}", swapped));
    if (groups !== null) said.push(words.saidGroups.replace("{value}", [...Array(32).keys()].filter((g) => (groups >>> g) & 1).join(" ")));
    return said.join(" · ");
  }

  choose(layer) {
    [...this.slots.routing.children].forEach((row, n) => row.classList.toggle("current", n === layer));
    this.keepInView(this.slots.routing.children[layer]);
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
