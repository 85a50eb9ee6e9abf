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

function markChoices() {
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === (root.dataset.theme || "")));
  }
}

apply(localStorage.getItem(KEY));
document.addEventListener("DOMContentLoaded", markChoices);
if (document.readyState !== "loading") markChoices();
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action='theme'], [data-theme-choice]");
  if (!button) return;
  const next = button.dataset.themeChoice ?? (currentTheme() === "dark" ? "light" : "dark");
  if (next) localStorage.setItem(KEY, next);
  else localStorage.removeItem(KEY);
  apply(next);
  markChoices();
  document.dispatchEvent(new CustomEvent("sluice:theme"));
});
