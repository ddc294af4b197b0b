// The drawn charts: plotly's, in the colours of the page.

import { CHARTS } from "./curves.js";
import { element } from "./elements.js";
import { drawn, extent, gaps } from "./history.js";
import { library } from "./library.js";

const HEIGHT = 132;
const PAUSE_MS = 300;
/** @type {{ history: import("./history.js").History, started: number } | null} what is to be drawn next */
let next = null;
let underway = false;

/**
 * Draw, one chart at a time and never two rounds at once: on a slow machine the page stays quick, the charts lag.
 * @param {{ chart: import("./curves.js").Chart, plot: HTMLElement }[]} places
 * @param {import("./history.js").History} history
 * @param {number} started
 */
export async function draw(places, history, started) {
  next = { history, started };
  if (underway) return;
  underway = true;
  try {
    const plotly = await library();
    while (next) {
      const now = next;
      next = null;
      const look = appearance();
      const marks = shapes(now.history, now.started, look);
      for (const { chart, plot } of places) {
        await plotly.react(plot, traces(chart, now.history, look), layout(chart, now.history, marks, look), CONFIG);
        await pause(0);
      }
      await pause(PAUSE_MS);
    }
  } finally {
    underway = false;
  }
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

/** The colours of style.css as they are now, light or dark: plotly understands no custom properties. */
function appearance() {
  const probe = element("span");
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const used = CHARTS.flatMap(({ curves }) => curves.map(({ colour }) => colour));
  const names = ["--text", "--quiet", "--line", "--card", "--gap", ...used];
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
  const points = drawn(history);
  const x = points.map((index) => local(history.times[index]));
  return chart.curves.map(({ name, label, colour, dash }) => ({
    x,
    y: points.map((index) => history.series[name][index]),
    name: label,
    type: "scatter",
    mode: "lines",
    connectgaps: false,
    line: { color: look.colours[colour], width: 1.6, dash },
    text: points.map((index) => chart.format(history.series[name][index])),
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
