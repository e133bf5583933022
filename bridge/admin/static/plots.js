// Shows the history in three small plots, each with its latest values as text.

import { count, el, put, rate, span } from "./show.js";

const PLOTS = [
  { name: "Events per second", series: [["received", "in", "--in"], ["delivered", "out", "--out"]], format: rate },
  { name: "Events waiting", series: [["waiting", "waiting", "--wait"]], format: count },
  { name: "Delay", series: [["delay", "mean delivery", "--out"], ["oldest", "oldest waiting", "--wait"]], format: span },
];

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const hour = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 5);
const second = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 8);

const short = (n) => (n >= 1e6 ? `${n / 1e6}M` : n >= 1e3 ? `${n / 1e3}k` : `${n}`);
const clock = (seconds) => (seconds >= 3600 ? `${+(seconds / 3600).toFixed(1)}h` : seconds >= 60 ? `${+(seconds / 60).toFixed(1)}m` : `${+seconds.toFixed(1)}s`);

export class Plots {
  constructor(where) {
    this.figures = PLOTS.map((plot) => {
      const now = el("p", { class: "quiet now" });
      const area = el("div", { class: "plot", role: "img" });
      where.append(el("figure", { class: "card" }, el("figcaption", {}, el("h3", {}, plot.name), now), area));
      return { plot, now, area, chart: null };
    });
    this.data = null;
    new ResizeObserver(() => this.draw(true)).observe(where);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
  }

  show(history) {
    this.data = history;
    this.draw(false);
  }

  draw(rebuild) {
    if (!this.data) return;
    for (const figure of this.figures) {
      const { plot, now, area } = figure;
      const columns = plot.series.map(([key]) => this.data[key]);
      const last = columns.map((column) => column.at(-1));
      const latest = plot.series.map(([, name], i) => `${plot.format(last[i])} ${name}`).join(", ");
      put(now, latest);
      area.setAttribute("aria-label", `${plot.name}: now ${latest}`);
      if (rebuild && figure.chart) {
        figure.chart.destroy();
        figure.chart = null;
      }
      const data = [this.data.time, ...columns];
      if (figure.chart) figure.chart.setData(data);
      else if (this.data.time.length > 1 && area.clientWidth) figure.chart = new uPlot(options(plot, area.clientWidth), data, area);
    }
  }
}

function options(plot, width) {
  const line = color("--line");
  const axis = { stroke: color("--quiet"), font: "11px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { show: false } };
  return {
    width,
    height: 150,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] } },
    axes: [
      { ...axis, space: 70, size: 28, values: (_, ticks, __, ___, step) => ticks.map(step < 60 ? second : hour) },
      { ...axis, size: 44, values: (_, ticks) => ticks.map(plot.format === span ? clock : short) },
    ],
    series: [{}, ...plot.series.map(([, label, name]) => ({
      label, stroke: color(name), width: 2, fill: `color-mix(in srgb, ${color(name)} 14%, transparent)`, points: { show: false }, spanGaps: true,
    }))],
  };
}
