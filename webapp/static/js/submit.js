/* Asking an engine: an example fills the prompt box in place. Without this module the same link loads the page with it. */
const form = document.getElementById("ask-form");
const prompt = document.getElementById("id_prompt");

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-example]");
  if (!link || !form || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const ofPrompt = form.querySelector('input[name="what"][value="prompt"]');
  ofPrompt.checked = true;
  prompt.value = link.dataset.example;
  form.elements.answer.value = ""; // the gold answer of the prompt that stood there before
  prompt.focus();
  prompt.scrollIntoView({ block: "nearest" });
});

// Ctrl or Command with Enter asks, from the prompt box
prompt?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
