// A small plot of one intake's rates, for a row of a table. The legend is above the table.

import { color } from "./plots.js";
import { el, rate } from "./show.js";

const WIDTH = 150, HEIGHT = 30;

export class Spark {
  constructor() {
    this.element = el("canvas", { class: "spark", role: "img", "aria-label": "no values yet" });
    this.history = null;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Shows the columns `received` and `delivered`. */
  show(history) {
    this.history = history;
    this.element.setAttribute("aria-label", `now ${rate(history.received.at(-1))} in, ${rate(history.delivered.at(-1))} out per second; highest ${rate(highest(history))}`);
    this.draw();
  }

  draw() {
    if (!this.history) return;
    const scale = devicePixelRatio || 1;
    this.element.width = WIDTH * scale;
    this.element.height = HEIGHT * scale;
    const pen = this.element.getContext("2d");
    pen.scale(scale, scale);
    const most = highest(this.history) || 1;
    line(pen, this.history.received, most, color("--in"), []);
    line(pen, this.history.delivered, most, color("--out"), [4, 3]);
  }
}

const highest = (history) => Math.max(0, ...history.received, ...history.delivered);

function line(pen, values, most, stroke, dash) {
  pen.beginPath();
  pen.setLineDash(dash);
  pen.strokeStyle = stroke;
  pen.lineWidth = 1.5;
  const step = WIDTH / Math.max(values.length - 1, 1);
  values.forEach((value, place) => {
    if (value == null) return;
    const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
    if (place === 0 || values[place - 1] == null) pen.moveTo(place * step, y);
    else pen.lineTo(place * step, y);
  });
  pen.stroke();
}
