// The expert page and the routing page by key: from expert to expert, from layer to layer.
import { follow, listen } from "./keys.js";

listen({
  ",": () => follow("a[rel='prev']"),
  ".": () => follow("a[rel='next']"),
  "[": () => follow("a[data-step='lower']"),
  "]": () => follow("a[data-step='higher']"),
});
