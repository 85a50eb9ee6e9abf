// What overlays know of the whole trace, found once: segments, findings, scripts, loops, where it forks. No DOM.
import { forkingAbove, loops, scriptOf, within } from "./textkinds.js";

const SEGMENTS = ["prompt", "think", "answer", "other"];

// `config` of the page; `textOf(i)` gives a token's text on the page, "" elsewhere. Each fact is worked out when first asked for.
export class Facts {
  constructor(tokens, config, textOf) {
    Object.assign(this, { tokens, textOf });
    this.expert = "";
    this.layer = null;
    this.high = 1;
    this.groups = config.nGroup ?? 0;
    this.groupSize = this.groups > 1 ? config.nExperts / this.groups : 0;
    this.segments = config.segments ?? [];
    this.findings = config.findings ?? [];
  }

  once(name, make) {
    const value = make();
    Object.defineProperty(this, name, { value });
    return value;
  }

  get segment() {
    const { text_start: starts, text_end: ends } = this.tokens;
    return this.once("segment", () =>
      within(this.segments, starts, ends).map((n) => (n < 0 ? -1 : SEGMENTS.indexOf(this.segments[n].kind))),
    );
  }

  get finding() {
    return this.once("finding", () => within(this.findings, this.tokens.text_start, this.tokens.text_end));
  }

  // 1 for tokens of think and answer
  get spoken() {
    return this.once("spoken", () => Uint8Array.from(this.segment, (number) => (number === 1 || number === 2 ? 1 : 0)));
  }

  get forksAbove() {
    return this.once("forksAbove", () => forkingAbove(this.tokens.entropy, this.spoken));
  }

  get loop() {
    return this.once("loop", () => loops(this.tokens.token_id));
  }

  get script() {
    const known = new Map(); // the same token is the same text, but for pieces of a character
    return this.once("script", () =>
      Int16Array.from({ length: this.tokens.count }, (_, i) => {
        const text = this.textOf(i);
        if (!known.has(text)) known.set(text, text === "" ? -1 : scriptOf(text));
        return known.get(text);
      }),
    );
  }
}
