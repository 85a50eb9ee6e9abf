// The trace list: on a narrow screen the filter panel starts closed unless a filter is set.
const panel = document.querySelector("details.filters");
if (panel && matchMedia("(max-width: 60rem)").matches) panel.open = false;
