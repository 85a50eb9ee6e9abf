// The group page by key: arrows walk over the samples, Enter (the link's own) or a figure opens one.
import { listen } from "./keys.js";

const links = [...document.querySelectorAll("[data-sample]")];

function walk(step) {
  const here = links.indexOf(document.activeElement);
  const next = here < 0 ? links[0] : links[Math.min(links.length - 1, Math.max(0, here + step))];
  next?.focus();
}

listen({
  ...Object.fromEntries(links.slice(0, 9).map((link, n) => [String(n + 1), () => link.click()])),
  ArrowRight: () => walk(1),
  ArrowDown: () => walk(1),
  ArrowLeft: () => walk(-1),
  ArrowUp: () => walk(-1),
});
