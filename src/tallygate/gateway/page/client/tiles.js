// The top line: one figure each, what belongs to it, and a small trend.

import { byId, drawing, element, say } from "./elements.js";
import { NONE, count, money, moneyPerHour, percent, rate, ratio, seconds } from "./format.js";
import { drawn, extent } from "./history.js";

const MANY_ERRORS = 0.05;

/**
 * @typedef {{
 *   title: string, series: string[], value(totals: any): string, detail(totals: any, now: number | null): string[],
 *   bad?(totals: any): boolean
 * }} Tile  `series`: added up they are the trend, `now` is its newest value
 */

/** @param {string} name */
const around = (name) => (totals) => [`p50 ${seconds(totals[`${name}_p50`])}`, `p99 ${seconds(totals[`${name}_p99`])}`];
/** @param {number} number @param {string} what */
const unless0 = (number, what) => (number > 0 ? [`${count(number)} ${what}`] : []);
/** @param {any} totals */
const failing = (totals) => (ratio(totals.errors, totals.requests) ?? 0) >= MANY_ERRORS;

/** @type {Tile[]} */
const TILES = [
  {
    title: "Cost",
    series: ["cost"],
    value: (totals) => money(totals.cost_usd),
    detail: (totals, now) => [moneyPerHour(now), ...unless0(totals.unpriced, "unpriced")],
  },
  {
    title: "Requests",
    series: ["requests"],
    value: (totals) => count(totals.requests),
    detail: (totals, now) => [`${rate(now)} now`],
  },
  {
    title: "Errors",
    series: ["errors"],
    value: (totals) => count(totals.errors),
    detail: (totals) => [
      ...(failing(totals) ? ["▲ high"] : []),
      `${percent(ratio(totals.errors, totals.requests))} of requests`,
    ],
    bad: failing,
  },
  {
    title: "Latency p95",
    series: ["latency_p95"],
    value: (totals) => seconds(totals.latency_p95),
    detail: around("latency"),
  },
  {
    title: "First token p95",
    series: ["ttft_p95"],
    value: (totals) => seconds(totals.ttft_p95),
    detail: around("ttft"),
  },
  {
    title: "Tokens",
    series: ["input_tokens", "output_tokens"],
    value: (totals) => count(totals.input_tokens + totals.output_tokens),
    detail: (totals) => [
      `${count(totals.input_tokens)} in`,
      `${count(totals.output_tokens)} out`,
      ...unless0(totals.unmetered, "calls unmetered"),
    ],
  },
  {
    title: "Output speed",
    series: ["tokens_per_second_p50"],
    value: (totals) => (totals.tokens_per_second_p50 === null ? NONE : rate(totals.tokens_per_second_p50)),
    detail: () => ["tokens", "median call"],
  },
  {
    title: "Cache hits",
    series: ["cache_hit_ratio"],
    value: (totals) => percent(ratio(totals.cache_hits, totals.cache_lookups)),
    detail: (totals) => {
      const prompt = ratio(totals.cached_tokens, totals.input_tokens);
      const answers = totals.cache_lookups ? `${count(totals.cache_hits)} of ${count(totals.cache_lookups)}` : "not asked";
      return prompt ? [answers, `${percent(prompt)} of prompts`] : [answers];
    },
  },
  {
    title: "Active requests",
    series: ["active_requests"],
    value: (totals) => count(totals.active_requests),
    detail: () => ["right now"],
  },
];

const shown = TILES.map((tile) => {
  const line = drawing("path", { class: "line" });
  const trend = drawing("svg", { viewBox: "0 0 100 24", preserveAspectRatio: "none", class: "trend" }, line);
  const [value, detail] = [element("dd", { class: "value" }), element("dd", { class: "detail" })];
  const hidden = element("dd", { class: "trended", "aria-hidden": "true" }, trend);
  const whole = element("div", { class: "tile" }, element("dt", {}, tile.title), value, detail, hidden);
  return { tile, whole, value, detail, line };
});
byId("tiles").append(...shown.map(({ whole }) => whole));

/**
 * @param {any} totals
 * @param {import("./history.js").History} history
 */
export function showTiles(totals, history) {
  const points = drawn(history);
  const at = points.map((index) => 100 - ((history.times.at(-1) - history.times[index]) / history.span) * 100);
  for (const { tile, whole, value, detail, line } of shown) {
    const values = points.map((index) => sum(tile.series.map((name) => history.series[name][index])));
    const { now, most } = extent(values);
    say(value, tile.value(totals));
    say(detail, tile.detail(totals, now).map(together).join(" · "));
    whole.classList.toggle("bad", tile.bad?.(totals) ?? false);
    line.setAttribute("d", path(at, values, most));
  }
}

/** Lines break between what is told, not within it. @param {string} told */
const together = (told) => told.replaceAll(" ", "\u00a0");

/** @param {(number | null)[]} values */
const sum = (values) => values.reduce((total, value) => (total === null || value === null ? null : total + value));

/**
 * A line from 0 at the bottom to the greatest value at the top, with breaks where nothing is known.
 * @param {number[]} at how far to the right, 0 to 100
 * @param {(number | null)[]} values
 * @param {number | null} most
 */
function path(at, values, most) {
  let pen = "M";
  return values
    .map((value, index) => {
      if (value === null) {
        pen = "M";
        return "";
      }
      const stroke = `${pen}${at[index].toFixed(1)} ${(23 - (most ? value / most : 0) * 22).toFixed(1)}`;
      pen = "L";
      return stroke;
    })
    .join("");
}
