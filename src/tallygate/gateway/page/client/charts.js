// The charts: drawn by plotly for the eye; a sentence and a table of the same numbers for everybody.

import { CHARTS } from "./curves.js";
import { byId, drawing, element, say } from "./elements.js";
import { clock } from "./format.js";
import { extent } from "./history.js";
import { draw } from "./plots.js";
import { table } from "./tables.js";

const DASHES = { solid: "", dash: "5 3", dot: "2 2" };
const RANGES = { 900: "15 minutes", 3600: "hour", 21600: "6 hours", 86400: "24 hours" };

const shown = CHARTS.map((chart) => {
  const key = chart.curves.map(({ label, colour, dash }) => {
    const line = drawing("line", { x1: 0, y1: 4, x2: 18, y2: 4, "stroke-dasharray": DASHES[dash] });
    line.style.stroke = `var(${colour})`;
    const [now, most] = [element("b"), element("span")];
    const sign = drawing("svg", { width: 18, height: 8, class: "sign" }, line);
    return { row: element("li", {}, sign, ` ${label} `, now, " ", most), now, most };
  });
  const plot = element("div", { class: "plot", "aria-hidden": "true" });
  const legend = element("ul", { class: "legend", "aria-hidden": "true" }, ...key.map(({ row }) => row));
  const summary = element("figcaption", { class: "unseen" });
  const name = element("span", { class: "unseen" }, ` of ${chart.title.toLowerCase()}`);
  const details = element("details", {}, element("summary", {}, "Data table", name));
  const data = element("div", { class: "data" });
  details.append(data);
  const title = element("h3", { id: `${chart.id}-title` }, chart.title);
  const whole = element("figure", { class: "chart", "aria-labelledby": title.id }, title, plot, legend, summary, details);
  return { chart, whole, plot, key, summary, details, data };
});
byId("charts").append(...shown.map(({ whole }) => whole));

/**
 * @param {import("./history.js").History} history
 * @param {number} started when the gateway was started: marked if it is in the range
 */
export async function showCharts(history, started) {
  for (const { chart, key, summary, details, data } of shown) {
    const told = chart.curves.map(({ name, label }, index) => {
      const { now, most, at } = extent(history.series[name]);
      say(key[index].now, chart.format(now));
      say(key[index].most, most === null ? "" : `max ${chart.format(most)}`);
      if (now === null) return `${label}: nothing measured`;
      return `${label}: now ${chart.format(now)}, at most ${chart.format(most)} at ${clock(history.times[at])}`;
    });
    say(summary, `In the last ${RANGES[history.span]}. ${told.join("; ")}.`);
    if (details.open) data.replaceChildren(rows(chart, history));
    details.ontoggle = () => data.replaceChildren(...(details.open ? [rows(chart, history)] : []));
  }
  await draw(shown, history, started);
}

/** All points that are known, the newest first. */
function rows(chart, history) {
  const columns = chart.curves.map(({ name, label }) => ({
    title: label,
    kind: "number",
    cell: (index) => chart.format(history.series[name][index]),
  }));
  const known = history.times.map((_, index) => index).filter((index) => history.series.requests[index] !== null);
  const time = { title: "Time", cell: (index) => clock(history.times[index]) };
  return table(chart.title, [time, ...columns], known.reverse(), "Nothing was measured in this time.");
}
