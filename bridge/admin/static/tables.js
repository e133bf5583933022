// Tables whose rows keep their place and focus while their figures change; on a narrow screen each row is a card.

import { clean, el } from "./show.js";

/**
 * A table in `where`. A column: {head, cell(row), number, wide}; `cell` gives a string, or parts
 * {text, class, title} one under the other; what is `extra` is left out where there is no room. `open(row)` makes the
 * first column a button; `key(row)` names a row.
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
    rows.forEach((row, place) => {
      const key = this.key(row);
      const line = this.rows.get(key) ?? this.make();
      line.row = row;
      this.fill(line);
      kept.set(key, line);
      if (this.body.children[place] !== line.element) this.body.insertBefore(line.element, this.body.children[place] ?? null);
    });
    for (const [key, line] of this.rows) if (!kept.has(key)) line.element.remove();
    this.rows = kept;
  }

  make() {
    const line = { said: [] };
    line.cells = this.columns.map((column, place) => {
      const cell = el("td", { role: "cell", "data-label": column.head, class: kind(column) });
      line.target = line.target ?? cell;
      if (place === 0 && this.open) {
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
    this.columns.forEach((column, place) => {
      const parts = [column.cell(line.row)].flat().filter((part) => part != null && part !== "");
      const said = JSON.stringify(parts);
      if (line.said[place] === said) return;
      line.said[place] = said;
      const cell = place === 0 ? line.target : line.cells[place];
      cell.replaceChildren(...parts.map((part) => {
        const { text, ...rest } = typeof part === "string" ? { text: part } : part;
        return el("span", { ...rest, class: `part ${rest.class ?? ""}`.trim() }, clean(text, 300));
      }));
    });
  }
}

const kind = (column) => ["number", "wide", "extra"].filter((name) => column[name]).join(" ");
