// The colour scheme that a person chose, kept in this browser; without a choice the system's is followed.
const KEY = "sluice-theme";
const root = document.documentElement;

function apply(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
}

export function currentTheme() {
  const chosen = root.dataset.theme;
  return chosen || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

apply(localStorage.getItem(KEY));
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action='theme']");
  if (!button) return;
  const next = currentTheme() === "dark" ? "light" : "dark";
  localStorage.setItem(KEY, next);
  apply(next);
  document.dispatchEvent(new CustomEvent("sluice:theme"));
});
