// The legend: what the colours say, between which values, and how often each name comes.
import { colourOfNumber } from "./kinds.js";
import { HUES, LEVELS, number, STEPS } from "./palette.js";
import { SCRIPTS } from "./textkinds.js";

const MOST_CHIPS = 40;

export class Legend {
  constructor(element, words) {
    Object.assign(this, { element, words });
  }

  show(name, kind, data, choose) {
    this.element.dataset.overlay = name;
    this.element.replaceChildren();
    this.element.classList.toggle("measured", kind.form === "scale");
    if (kind.form === "scale") this.scale(kind, data);
    else if (kind.form !== "none") this.names(kind, data, choose);
    if (name === "entropy" && Number.isFinite(data.forksAbove)) this.note(this.words.forks.replace("{value}", number(data.forksAbove, 2)), "forks");
    if (kind.isLayered && data.layer && !data.layer.isComplete) this.note(this.words.soFar);
  }

  scale(kind, data) {
    const ramp = document.createElement("span");
    ramp.className = `ramp ${kind.ramp === "--ramp" ? "" : "routing-ramp"}`;
    ramp.setAttribute("aria-hidden", "true");
    for (let step = 0; step <= STEPS; step += 2) {
      const cell = document.createElement("span");
      cell.className = `s${step}`;
      ramp.append(cell);
    }
    this.element.append(ramp);
    const high = number(data.high, data.high < 10 && data.high % 1 ? 2 : 0);
    this.note(this.words[kind.words(data)].replace("{high}", high).replace("{low}", `−${high}`));
    if (kind.hasUnknown) this.note(this.words.unknown, "unknown");
  }

  // How often each number comes among the tokens that are known.
  counts(kind, data) {
    const counts = new Map();
    let total = 0;
    for (let i = 0; i < data.tokens.count; i++) {
      const found = kind.numbers ? kind.numbers(data, i) : [kind.number(data, i)];
      if (found.length && found[0] >= 0) total++;
      for (const n of found) if (n >= 0) counts.set(n, (counts.get(n) ?? 0) + 1);
    }
    return { counts, total };
  }

  names(kind, data, choose) {
    const { counts, total } = this.counts(kind, data);
    const shown = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_CHIPS).sort((a, b) => a[0] - b[0]);
    if (counts.size > shown.length) this.note(this.words.mostUsed.replace("{n}", shown.length).replace("{count}", counts.size));
    if (kind.names === "experts" && Math.max(0, ...counts.keys()) >= HUES * LEVELS) this.note(this.words.repeats.replace("{n}", HUES * LEVELS));
    this.element.append(...shown.map(([n, count]) => this.chip(kind, data, n, count, total, choose)));
    if (!shown.length && !(kind.isLayered && !data.layer?.isComplete)) this.note(this.words[`${kind.names}None`] ?? this.words.nothing);
  }

  chip(kind, data, n, count, total, choose) {
    const isButton = Boolean(kind.hasExpert);
    const chip = document.createElement(isButton ? "button" : "span");
    const colour = colourOfNumber(kind, n);
    chip.className = `chip ${colour < 0 ? "plain" : `x${colour}`}`;
    if (isButton) {
      chip.type = "button";
      chip.setAttribute("aria-pressed", String(n === data.expert));
      chip.addEventListener("click", () => choose(n === data.expert ? "" : n));
    }
    const counted = (kind.numbers ? this.words.countsAny : this.words.counts).replace("{share}", count).replace("{count}", total);
    chip.title = `${this.name(kind, data, n, true)}: ${counted}`;
    const share = document.createElement("span");
    share.className = "soft";
    share.textContent = count;
    chip.append(`${this.name(kind, data, n)} `, share);
    return chip;
  }

  name(kind, data, n, isLong = false) {
    const { words } = this;
    if (kind.names === "experts") return isLong ? words.expert.replace("{id}", n) : `e${n}`;
    if (kind.names === "groups") return isLong ? words.group.replace("{id}", n) : `g${n}`;
    if (kind.names === "scripts") return words.scripts[SCRIPTS[n]];
    if (kind.names === "segments") return words.segments[n];
    if (kind.names === "findings") return data.findings[n].words;
    if (kind.names === "accepted") return words.acceptedNames[n];
    return words.looping;
  }

  note(text, kind = "") {
    const note = document.createElement("span");
    note.className = `small soft ${kind}`;
    note.textContent = text;
    this.element.append(note);
  }
}
