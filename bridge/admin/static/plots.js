// Plots with a legend that shows the latest values, or those under the pointer. Times are in UTC.

import { el, put, short } from "./show.js";

const HEIGHT = 150;
// Steps of an axis in seconds.
const STEPS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((days) => days * 86400)];

/** Returns the value of a colour variable in the current colour scheme. */
export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const utc = (seconds, from, to) => new Date(seconds * 1000).toISOString().slice(from, to);
const tickLabel = (n) => (n < 10 ? `${+n.toFixed(2)}` : short(n));
const clock = (seconds) => (seconds >= 3600 ? `${+(seconds / 3600).toFixed(1)}h` : seconds >= 60 ? `${+(seconds / 60).toFixed(1)}m` : `${+seconds.toFixed(1)}s`);

/** One plot. `series`: [key, label, CSS class and colour variable]. The second and third series are dashed. */
export class Plot {
  constructor(where, { name, series, format, isTime = false }) {
    this.name = name;
    this.series = series;
    this.format = format;
    this.isTime = isTime;
    this.values = series.map(() => el("b", {}));
    this.time = el("span", { class: "quiet" });
    this.area = el("div", { class: "plot", role: "img" });
    this.none = el("p", { class: "quiet" }, "Not enough values yet.");
    const keys = series.map(([, label, kind], place) => el("li", {}, el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), `${label} `, this.values[place]));
    where.append(el("figure", {}, el("figcaption", {}, el("h4", {}, name), this.time, el("ul", { class: "legend" }, ...keys)), this.none, this.area));
    this.chart = null;
    this.data = null;
    new ResizeObserver(() => this.draw(true)).observe(this.area);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
  }

  /** Shows columns of values by key, with `time` in seconds since the epoch. */
  show(history) {
    this.data = [history.time, ...this.series.map(([key]) => history[key] ?? history.time.map(() => null))];
    this.legend(null);
    this.draw(false);
  }

  legend(place) {
    const latest = this.data[0].length - 1;
    const texts = this.series.map((_, index) => this.format(this.data[index + 1][place ?? latest]));
    this.values.forEach((where, index) => put(where, texts[index]));
    put(this.time, place == null ? "" : utc(this.data[0][place], 11, 19));
    if (place == null) this.area.setAttribute("aria-label", `${this.name}: now ${this.series.map(([, label], index) => `${label} ${texts[index]}`).join(", ")}`);
  }

  draw(rebuild) {
    if (!this.data) return;
    this.none.hidden = this.data[0].length > 1;
    this.area.hidden = !this.none.hidden;
    if (!this.area.clientWidth) return;
    if (this.chart && (rebuild || this.chart.width !== this.area.clientWidth)) {
      this.chart.destroy();
      this.chart = null;
    }
    if (this.chart) this.chart.setData(this.data);
    else if (this.data[0].length > 1) this.chart = new uPlot(this.options(), this.data, this.area);
  }

  options() {
    const axis = { stroke: color("--quiet"), font: "11px system-ui, sans-serif", grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    return {
      width: this.area.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] } },
      axes: [
        { ...axis, space: 70, size: 28, values: (_, ticks, __, ___, step) => ticks.map((tick) => utc(tick, 11, step < 60 ? 19 : 16)) },
        { ...axis, size: 46, ...(this.isTime ? { incrs: STEPS } : {}), values: (_, ticks) => ticks.map(this.isTime ? clock : tickLabel) },
      ],
      hooks: { setCursor: [(chart) => this.legend(chart.cursor.idx)] },
      series: [{}, ...this.series.map(([, label, kind], place) => ({
        label, stroke: color(`--${kind}`), width: 2, dash: place ? [6, 4] : undefined, points: { show: false }, spanGaps: true,
        fill: place ? undefined : `color-mix(in srgb, ${color(`--${kind}`)} 14%, transparent)`,
      }))],
    };
  }
}
