// Tables whose rows keep position and focus while their values change. On a narrow screen each row is a card.

import { clean, el } from "./show.js";

/**
 * Shows a table in `where`. A column is {head, cell(row), number, wide, extra}. `cell` returns a string, or parts
 * {text, class, title} that are shown below each other. An `extra` column is hidden on a narrow screen. With `open(row)`
 * the first column is a button. `key(row)` identifies a row.
 */
export class Table {
  constructor(where, { caption, columns, key, open, empty }) {
    this.columns = columns;
    this.key = key;
    this.open = open;
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
      const line = this.rows.get(key) ?? this.make();
      line.row = row;
      this.fill(line);
      kept.set(key, line);
      if (this.body.children[index] !== line.element) this.body.insertBefore(line.element, this.body.children[index] ?? null);
    });
    for (const [key, line] of this.rows) if (!kept.has(key)) line.element.remove();
    this.rows = kept;
  }

  make() {
    const line = { shown: [] };
    line.cells = this.columns.map((column, index) => {
      const cell = el("td", { role: "cell", "data-label": column.head, class: kind(column) });
      line.target = line.target ?? cell;
      if (index === 0 && this.open) {
        const button = el("button", { type: "button", class: "link", onclick: () => this.open(line.row) });
        cell.append(button);
        line.target = button;
      }
      return cell;
    });
    line.element = el("tr", { role: "row" }, ...line.cells);
    return line;
  }

  fill(line) {
    this.columns.forEach((column, index) => {
      const parts = [column.cell(line.row)].flat().filter((part) => part != null && part !== "");
      const shown = JSON.stringify(parts);
      if (line.shown[index] === shown) return;
      line.shown[index] = shown;
      const cell = index === 0 ? line.target : line.cells[index];
      cell.replaceChildren(...parts.map((part) => {
        const { text, ...rest } = typeof part === "string" ? { text: part } : part;
        return el("span", { ...rest, class: `part ${rest.class ?? ""}`.trim() }, clean(text, 300));
      }));
    });
  }
}

const kind = (column) => ["number", "wide", "extra"].filter((name) => column[name]).join(" ");
