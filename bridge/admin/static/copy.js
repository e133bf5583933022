// Buttons that copy a command or a piece of configuration.

import { clean, el, put } from "./show.js";

/** Returns a button that copies `text`. If the browser forbids that, it selects the text in `shown` instead. */
export function copyButton(text, shown, what) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      put(button, "Copied");
    } catch {
      getSelection().selectAllChildren(shown);
      put(button, "Selected");
    }
    setTimeout(() => put(button, "Copy"), 2000);
  });
  return button;
}

/** Returns a command with a button that copies it, and what it does. */
export function command(text, does) {
  const code = el("code", {}, clean(text, 300));
  return el("div", { class: "command" }, does ? el("span", { class: "quiet" }, does) : null, code, copyButton(text, code, `command: ${clean(text, 300)}`));
}
