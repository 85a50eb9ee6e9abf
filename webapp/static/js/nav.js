// On a narrow screen the sections scroll sideways; the one that we are in must be in sight.
const current = document.querySelector(".nav a[aria-current]");
const nav = current?.closest(".nav");
if (nav && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = current.offsetLeft - nav.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
