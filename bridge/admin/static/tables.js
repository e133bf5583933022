// Tables whose rows keep position and focus while their values change. On a narrow screen each row is a card.

import { clean, el } from "./show.js";

const WORD = 40;
const LONG = new RegExp(`\\S{${WORD + 1},}`);
const SHORT = 24;

/**
 * Shows a table in `where`. A column is {head, cell(row), number, wide, extra}. `cell` returns a string, or parts
 * {text, class, title} that are shown below each other; a part with `make` is made by it. An `extra` column is hidden on a
 * narrow screen. A column with `element(key)` has one element per row instead. With `open(row)` the first column is a
 * button, with `href(row)` a link. `key(row)` identifies a row.
 */
export class Table {
  constructor(where, { caption, columns, key, open, href, empty }) {
    this.columns = columns;
    this.key = key;
    this.open = open;
    this.href = href;
    this.rows = new Map();
    const heads = columns.map((column) => el("th", { scope: "col", role: "columnheader", class: kind(column) }, column.head));
    this.body = el("tbody", { role: "rowgroup" });
    this.table = el("table", { role: "table" }, el("caption", { class: "unseen" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)), this.body);
    this.empty = el("p", { class: "quiet empty" }, empty);
    where.replaceChildren(this.table, this.empty);
    this.show([]);
  }

  show(rows) {
    this.table.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    const kept = new Map();
    rows.forEach((row, index) => {
      const key = this.key(row);
      const line = this.rows.get(key) ?? this.make(key);
      line.row = row;
      this.fill(line);
      kept.set(key, line);
      if (this.body.children[index] !== line.element) this.body.insertBefore(line.element, this.body.children[index] ?? null);
    });
    for (const [key, line] of this.rows) if (!kept.has(key)) line.element.remove();
    this.rows = kept;
  }

  make(key) {
    const line = { shown: [] };
    line.cells = this.columns.map((column, index) => {
      const cell = el("td", { role: "cell", "data-label": column.head, class: kind(column) });
      if (column.element) cell.append(column.element(key));
      if (index === 0) line.target = this.target(line, cell);
      return cell;
    });
    line.element = el("tr", { role: "row" }, ...line.cells);
    return line;
  }

  /** Returns the element of the first column that has the text: a button, a link or the cell. */
  target(line, cell) {
    if (!this.open && !this.href) return cell;
    const target = this.href ? el("a", { class: "link" }) : el("button", { type: "button", class: "link", onclick: () => this.open(line.row) });
    cell.append(target);
    return target;
  }

  fill(line) {
    if (this.href) line.target.setAttribute("href", this.href(line.row));
    this.columns.forEach((column, index) => {
      if (column.element) return;
      const parts = [column.cell(line.row)].flat().filter((part) => part != null && part !== "");
      const shown = JSON.stringify(parts);
      if (line.shown[index] === shown) return;
      line.shown[index] = shown;
      (index === 0 ? line.target : line.cells[index]).replaceChildren(...parts.map(shownPart));
    });
  }
}

function shownPart(part) {
  if (part.make) return part.make();
  const { text, ...rest } = typeof part === "string" ? { text: part } : part;
  const shown = clean(text, 300);
  // A short text stays on one line, and only words that no column has room for may be broken.
  const fit = shown.length <= SHORT ? "short" : LONG.test(shown) ? "long" : "";
  return el("span", { ...rest, class: ["part", fit, rest.class].filter(Boolean).join(" ") }, shown);
}

const kind = (column) => ["number", "wide", "extra"].filter((name) => column[name]).join(" ");
