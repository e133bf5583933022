// Opens the search page when words are entered in the search field.
"use strict";
const field = document.getElementById("search");
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const root = new URL(document.documentElement.dataset.root || ".", location.href);
  location.href = new URL("search.html", root).href + "#" + encodeURIComponent(field.value.trim());
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea")) return;
  event.preventDefault();
  field.focus();
});
