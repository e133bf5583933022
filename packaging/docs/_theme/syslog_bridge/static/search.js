// Shows the sections that contain all words of the address's fragment. The index is a script, so that it also works from a file.
"use strict";
const MOST = 40;

function score(entry, words) {
  let total = 0;
  for (const word of words) {
    const title = entry.title.toLowerCase().includes(word);
    if (!title && !entry.text.toLowerCase().includes(word)) return 0;
    total += title ? 5 : 1;
  }
  return total;
}

function excerpt(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - 60);
  return (at ? "… " : "") + text.slice(at, at + 180);
}

function show() {
  const query = decodeURIComponent(location.hash.slice(1));
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  document.getElementById("search").value = query;
  const list = document.getElementById("results");
  list.replaceChildren();
  if (!words.length) return;
  const found = globalThis.searchIndex
    .map((entry) => ({ entry, points: score(entry, words) }))
    .filter((each) => each.points)
    .sort((a, b) => b.points - a.points);
  document.getElementById("found").textContent = found.length ? `${found.length} sections contain "${query}".` : `No section contains "${query}".`;
  for (const { entry } of found.slice(0, MOST)) {
    const link = document.createElement("a");
    link.href = entry.url;
    link.textContent = entry.title;
    const text = document.createElement("p");
    text.textContent = excerpt(entry.text, words[0]);
    const item = document.createElement("li");
    item.append(link, text);
    list.append(item);
  }
}

addEventListener("hashchange", show);
show();
