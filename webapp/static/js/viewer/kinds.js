// What can be shown of a token, one entry a kind: pure, no DOM. Every function takes `d`, what is known (tokens, layer: the chosen
// layer's routing, expert: "" or the chosen one, and what facts.js finds out once), and a token's number.
//   form       category: one of a few names · scale: a measure from 0 · stripes: parts side by side
//   isLayered  needs the routing of the chosen layer; hasExpert: one expert can be chosen; array: only where the store has it
import { NOBODY } from "./layer.js";
import { HUES, LEVELS } from "./palette.js";

const ROUTING = "--ramp-gate";
const CHANCE = "--ramp";
const colourOf = (expert) => expert % (HUES * LEVELS);
const isChosen = (d, expert) => d.expert === "" || d.expert === expert;

const layered = (kind) => ({ isLayered: true, ramp: ROUTING, ...kind });
const measured = (array, kind) => layered({ form: "scale", array, value: (d, i) => finite(d.layer.extra(array, i)), ...kind });
const finite = (value) => (Number.isFinite(value) ? value : NaN);

export const KINDS = {
  expert: layered({
    form: "category",
    hasExpert: true,
    names: "experts",
    number: (d, i) => (d.layer.top[i] === NOBODY ? -1 : d.layer.top[i]),
    category: (d, i) => (d.layer.isRouted(i) && isChosen(d, d.layer.top[i]) ? colourOf(d.layer.top[i]) : -1),
  }),
  topk: layered({
    form: "stripes",
    hasExpert: true,
    names: "experts",
    parts: (d, i) =>
      d.layer.experts(i).map(({ expert, weight }) => ({ category: isChosen(d, expert) ? colourOf(expert) : -1, share: weight })),
    numbers: (d, i) => (d.layer.isRouted(i) ? d.layer.ids.subarray(i * d.layer.topK, (i + 1) * d.layer.topK) : []),
  }),
  gate: layered({
    form: "scale",
    hasExpert: true,
    value: (d, i) => (d.expert === "" ? d.layer.topWeight(i) : d.layer.weightOf(i, d.expert)),
    range: (values) => Math.max(0, ...values),
    words: (d) => (d.expert === "" ? "gateAny" : "gateRange"),
  }),
  change: layered({ form: "scale", value: (d, i) => d.layer.changed(i), fixed: (d) => d.tokens.topK, words: () => "changeRange" }),
  group: layered({
    form: "category",
    names: "groups",
    needs: (d) => d.groupSize > 0,
    number: (d, i) => (d.layer.isRouted(i) ? Math.floor(d.layer.top[i] / d.groupSize) : -1),
    category: (d, i) => KINDS.group.number(d, i) % (HUES * LEVELS),
  }),
  routing_entropy: measured("routing_entropy", { words: () => "routingEntropyRange" }),
  routing_margin: measured("routing_margin", { isDeepLow: true, words: () => "marginRange" }),
  swapped: measured("swapped", { fixed: (d) => d.tokens.topK, words: () => "swappedRange" }),
  open_groups: layered({
    form: "stripes",
    array: "open_groups",
    names: "groups",
    needs: (d) => d.groupSize > 0,
    parts: (d, i) => {
      const mask = d.layer.extra("open_groups", i);
      if (Number.isNaN(mask)) return [];
      return Array.from({ length: d.groups }, (_, g) => ({ category: (mask >>> g) & 1 ? colourOf(g) : -1, share: 1 }));
    },
    numbers: (d, i) => Array.from({ length: d.groups }, (_, g) => g).filter((g) => (d.layer.extra("open_groups", i) >>> g) & 1),
  }),
  logprob: { form: "scale", ramp: CHANCE, value: (d, i) => -d.tokens.logprob[i], words: () => "lessLikely", hasUnknown: true },
  entropy: {
    form: "scale",
    ramp: CHANCE,
    value: (d, i) => d.tokens.entropy[i],
    isMarked: (d, i) => d.spoken[i] === 1 && d.tokens.entropy[i] > d.forksAbove,
    words: () => "entropyRange",
    hasUnknown: true,
  },
  accepted: {
    form: "category",
    names: "accepted",
    needs: (d) => d.tokens.accepted !== null,
    category: (d, i) => (Number.isNaN(d.tokens.logprob[i]) ? -1 : d.tokens.accepted[i] ? 2 : -1),
    number: (d, i) => (Number.isNaN(d.tokens.logprob[i]) ? -1 : d.tokens.accepted[i]),
    colour: (number) => (number ? 2 : -1),
  },
  script: { form: "category", names: "scripts", category: (d, i) => d.script[i], number: (d, i) => d.script[i] },
  segment: {
    form: "category",
    names: "segments",
    number: (d, i) => d.segment[i],
    category: (d, i) => KINDS.segment.colour(d.segment[i]),
    colour: (number) => [7, 4, 2, 0][number] ?? -1, // as the panes' edges: think blue, answer green
  },
  finding: { form: "category", names: "findings", needs: (d) => d.findings.length > 0, category: (d, i) => d.finding[i], number: (d, i) => d.finding[i] },
  loop: { form: "category", names: "loops", number: (d, i) => d.loop[i] - 1, category: (d, i) => (d.loop[i] ? 5 : -1), colour: () => 5 },
  none: { form: "none" },
};

// The colour of a legend's entry.
export function colourOfNumber(kind, number) {
  return kind.colour ? kind.colour(number) : colourOf(number);
}
