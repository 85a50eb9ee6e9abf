// Keys of the trace page. Typing in a field is never taken for a command; labels have keys of their own (js/label.js).

const isTyping = (target) => target.closest?.("input:not([type='range']), textarea, select, [contenteditable='true']");

// `commands`: key -> function that returns false when it had nothing to do.
export function listen(commands) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    // arrows belong to the page (they scroll) and to sliders, except on what they walk over
    if (event.key.startsWith("Arrow") && !event.target.closest?.(".t, [data-sample]")) return;
    const command = commands[event.key];
    if (command && command() !== false) event.preventDefault();
  });
}

// Follow the link that `selector` finds; false where there is none.
export function follow(selector) {
  const link = document.querySelector(selector);
  if (!link) return false;
  link.click();
  return true;
}
