// Moves through the pages of a long table.

import { count, el, put } from "./show.js";

export const PAGE = matchMedia("(max-width: 760px)").matches ? 20 : 50;

export class Pager {
  /** `what` names the rows, `changed` is called when another page is wanted. */
  constructor(where, what, changed) {
    this.offset = 0;
    const move = (by) => () => { this.offset = Math.max(0, this.offset + by); changed(); };
    this.previous = el("button", { type: "button", onclick: move(-PAGE) }, "Previous");
    this.next = el("button", { type: "button", onclick: move(PAGE) }, "Next");
    this.place = el("span", { role: "status", class: "place" });
    this.nav = el("nav", { class: "pager", "aria-label": `Pages of ${what}` }, this.previous, this.place, this.next);
    where.replaceChildren(this.nav);
  }

  /** Shows the place of the page among all rows. Returns false, and goes to the first page, if it is behind their end. */
  show(rows, matching) {
    if (matching <= this.offset && this.offset) {
      this.offset = 0;
      return false;
    }
    put(this.place, matching ? `${count(this.offset + 1)}–${count(this.offset + rows)} of ${count(matching)}` : "none");
    this.previous.disabled = this.offset === 0;
    this.next.disabled = this.offset + PAGE >= matching;
    this.nav.hidden = matching <= PAGE;
    return true;
  }

  first() {
    this.offset = 0;
  }
}
