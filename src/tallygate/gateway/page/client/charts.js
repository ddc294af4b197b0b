// The charts: drawn by plotly for the eye; a sentence and a table of the same numbers for everybody.

import { CHARTS } from "./curves.js";
import { byId, drawing, element, say } from "./elements.js";
import { clock } from "./format.js";
import { extent, gaps } from "./history.js";
import { library } from "./library.js";
import { table } from "./tables.js";

const DASHES = { solid: "", dash: "5 3", dot: "2 2" };
const HEIGHT = 132;
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
  const plotly = await library();
  const look = appearance();
  const marks = shapes(history, started, look);
  for (const { chart, plot } of shown) {
    plotly.react(plot, traces(chart, history, look), layout(chart, history, marks, look), CONFIG);
  }
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

const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

/** The colours of style.css as they are now, light or dark: plotly understands no custom properties. */
function appearance() {
  const probe = element("span");
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const names = ["--text", "--quiet", "--line", "--card", "--gap", ...CHARTS.flatMap(({ curves }) => curves.map(({ colour }) => colour))];
  const colours = Object.fromEntries(
    names.map((name) => {
      probe.style.color = `var(${name})`;
      return [name, style.color];
    }),
  );
  const font = style.fontFamily;
  probe.remove();
  return { colours, font };
}

/** plotly knows no time zones: the reader's own, put into the number. */
const local = (unix) => unix * 1000 - new Date(unix * 1000).getTimezoneOffset() * 60000;

function traces(chart, history, look) {
  const x = history.times.map(local);
  return chart.curves.map(({ name, label, colour, dash }) => ({
    x,
    y: history.series[name],
    name: label,
    type: "scatter",
    mode: "lines",
    connectgaps: false,
    line: { color: look.colours[colour], width: 1.6, dash },
    text: history.series[name].map(chart.format),
    hovertemplate: `${label} %{text}<extra></extra>`,
  }));
}

function layout(chart, history, marks, look) {
  const most = Math.max(0, ...chart.curves.map(({ name }) => extent(history.series[name]).most ?? 0));
  const ticks = steps(most);
  return {
    height: HEIGHT,
    margin: { l: 52, r: 8, t: 6, b: 20 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: look.colours["--quiet"], family: look.font, size: 11 },
    showlegend: false,
    dragmode: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: look.colours["--card"], bordercolor: look.colours["--line"], font: { color: look.colours["--text"] } },
    xaxis: {
      type: "date",
      range: [local(history.times.at(-1) - history.span), local(history.times.at(-1))],
      fixedrange: true,
      showgrid: false,
      linecolor: look.colours["--line"],
      nticks: 5,
      hoverformat: "%H:%M:%S",
      tickformat: "%H:%M",
    },
    yaxis: {
      range: [0, ticks.at(-1) * 1.05],
      tickvals: ticks,
      ticktext: ticks.map(chart.format),
      fixedrange: true,
      gridcolor: look.colours["--line"],
      zeroline: false,
    },
    shapes: marks,
  };
}

/** Where nothing was sampled, and where the gateway started. */
function shapes(history, started, look) {
  const whole = { yref: "paper", y0: 0, y1: 1, layer: "below" };
  const away = gaps(history).map(([from, to]) => ({
    type: "rect",
    x0: local(from),
    x1: local(to),
    fillcolor: look.colours["--gap"],
    line: { width: 0 },
    ...whole,
  }));
  if (started <= history.times[0]) return away;
  const line = { color: look.colours["--quiet"], width: 1, dash: "dot" };
  return [...away, { type: "line", x0: local(started), x1: local(started), line, ...whole }];
}

/** Round numbers from 0 up to at least `most`: three to five of them. */
function steps(most) {
  if (!(most > 0)) return [0, 1];
  const rough = 10 ** Math.floor(Math.log10(most));
  const step = [0.2, 0.5, 1, 2, 5].map((factor) => factor * rough).find((one) => most / one <= 4) ?? rough * 5;
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, index) => Number((index * step).toPrecision(6)));
}
