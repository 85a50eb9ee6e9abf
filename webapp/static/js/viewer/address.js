// What the page shows, in its address: view, overlay, layer, expert, token. Other parameters stay as they are.

const NAMES = ["view", "overlay", "layer", "expert", "token"];

function whole(text) {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;
}

// The state that the address asks for; what it does not say is left out.
export function read(search) {
  const params = new URLSearchParams(search);
  const state = {};
  if (["tokens", "reading", "raw"].includes(params.get("view"))) state.view = params.get("view");
  if (params.has("overlay")) state.overlay = params.get("overlay");
  for (const name of ["layer", "expert", "token"]) {
    const value = whole(params.get(name));
    if (value !== null) state[name] = value;
  }
  return state;
}

// The address for `state`, without what equals `defaults`.
export function write(search, state, defaults) {
  const params = new URLSearchParams(search);
  for (const name of NAMES) {
    const value = state[name];
    if (value === undefined || value === null || value === "" || value === defaults[name]) params.delete(name);
    else params.set(name, value);
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

// The part of the address that a neighbour sample takes over: all but the token and the place in the text.
export function carried(search) {
  const params = new URLSearchParams(search);
  for (const name of ["token", "pane", "from", "queue"]) params.delete(name);
  const text = params.toString();
  return text ? `?${text}` : "";
}
