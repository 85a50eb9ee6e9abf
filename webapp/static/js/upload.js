// The upload form: a drop zone, a check of the size before anything is sent, and progress while it is.
// Without this module the form posts as any form does.
const form = document.querySelector("form[data-upload]");
if (form) enhance(form);

function enhance(form) {
  const zone = form.querySelector("[data-dropzone]");
  const input = form.querySelector("input[type=file]");
  const progress = form.querySelector("[data-progress]");
  const status = progress.querySelector("[data-status]");

  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  zone.addEventListener("dragleave", (event) => {
    if (!zone.contains(event.relatedTarget)) zone.classList.remove("over");
  });
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    const one = new DataTransfer(); // the form takes one file
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    form.requestSubmit();
  });
  // a file dropped beside the zone must not replace the page
  for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = input.files[0];
    const limit = Number(form.dataset.max);
    if (file.size > limit) {
      say(`${status.dataset.tooLarge} ${mebibytes(file.size)} > ${mebibytes(limit)}`, true);
      return;
    }
    send(form, file);
  });

  function send(form, file) {
    const request = new XMLHttpRequest(); // fetch cannot tell how much was sent
    const button = form.querySelector("button.primary");
    const bar = progress.querySelector("progress");
    request.open("POST", form.action);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = event.loaded / event.total;
      say(`${status.dataset.sending} ${file.name} · ${mebibytes(event.loaded)} / ${mebibytes(event.total)}`);
    });
    request.upload.addEventListener("load", () => say(status.dataset.waiting));
    request.addEventListener("load", () => {
      button.disabled = false;
      if (request.responseURL && request.status === 200) location.assign(request.responseURL);
      else answer(request);
    });
    request.addEventListener("error", () => {
      button.disabled = false;
      say(status.dataset.failed, true);
    });
    bar.value = 0;
    button.disabled = true;
    say(`${status.dataset.sending} ${file.name}`);
    request.send(new FormData(form));
  }

  // The server refused: show its words where they belong.
  function answer(request) {
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const words = [...page.querySelectorAll("main .errorlist li, main h1")].map((item) => item.textContent.trim());
    say(words[words.length - 1] || `${status.dataset.failed} (${request.status})`, true);
  }

  function say(words, isError = false) {
    progress.hidden = false;
    status.textContent = words;
    status.classList.toggle("error", isError);
  }
}

function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
