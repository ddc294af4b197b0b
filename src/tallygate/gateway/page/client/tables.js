// The tables under the charts: providers, what is used most, what failed.

import { byId, element } from "./elements.js";
import { clock, count, money, percent, ratio, seconds } from "./format.js";

/**
 * @typedef {{ title: string, cell(row: any): string | Node, kind?: "number" | "wide" | "number wide" }} Column
 *   kind: a number stands at the right; a wide one is left out where there is little room
 */

/**
 * A table with its caption, or a sentence that says why there is none.
 * @param {string} caption
 * @param {Column[]} columns the first one names the row
 * @param {any[]} rows
 * @param {string} none
 */
export function table(caption, columns, rows, none) {
  if (!rows.length) return element("p", { class: "none" }, none);
  const head = columns.map((column) => element("th", { scope: "col", ...classed(column) }, column.title));
  const body = rows.map((row) =>
    element(
      "tr",
      {},
      ...columns.map((column, index) =>
        element(index ? "td" : "th", { ...(index ? {} : { scope: "row" }), ...classed(column) }, column.cell(row)),
      ),
    ),
  );
  return element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...body),
  );
}

/** @param {Column} column */
const classed = ({ kind }) => (kind ? { class: kind } : {});

const STATES = { up: "● Up", degraded: "▲ Degraded", down: "■ Down", idle: "○ Idle" };
const BREAKERS = { open: "open", half_open: "half open", closed: "closed" };

/** @param {any} provider */
function health({ state, breakers }) {
  const tripped = breakers.filter((breaker) => breaker.state !== "closed");
  const told = tripped.map(({ model, state: now }) => element("small", {}, `${model}: breaker ${BREAKERS[now] ?? now}`));
  return element("span", { class: `state ${state}` }, element("b", {}, STATES[state] ?? state), ...told);
}

/** @type {Column[]} */
const PROVIDERS = [
  { title: "Provider", cell: (row) => row.provider },
  { title: "State", cell: health },
  { title: "Requests", cell: (row) => count(row.requests), kind: "number" },
  { title: "Errors", cell: (row) => failures(row), kind: "number" },
  { title: "Latency p95", cell: (row) => seconds(row.latency_p95), kind: "number wide" },
  { title: "First token p95", cell: (row) => seconds(row.ttft_p95), kind: "number wide" },
  { title: "Cost", cell: (row) => money(row.cost_usd), kind: "number wide" },
];

/** @param {any} row */
const failures = ({ errors, requests }) =>
  errors ? `${count(errors)} (${percent(ratio(errors, requests))})` : "0";

/**
 * @param {string} title
 * @param {string} unnamed
 * @param {number} most the greatest cost of a row
 * @returns {Column[]}
 */
const used = (title, unnamed, most) => [
  { title, cell: (row) => (row.name ? element("span", { class: "name" }, row.name) : element("i", {}, unnamed)) },
  { title: "Cost", cell: (row) => bar(money(row.cost_usd), ratio(row.cost_usd, most) ?? 0), kind: "number" },
  { title: "Requests", cell: (row) => count(row.requests), kind: "number" },
  { title: "Errors", cell: (row) => count(row.errors), kind: "number" },
  { title: "Tokens", cell: (row) => count(row.tokens), kind: "number wide" },
  { title: "p95", cell: (row) => seconds(row.latency_p95), kind: "number wide" },
];

/**
 * A figure over a bar that is as long as its share of the greatest one.
 * @param {string} text
 * @param {number} share
 */
function bar(text, share) {
  const made = element("span", { class: "share" }, text);
  made.style.setProperty("--share", `${share * 100}%`);
  return made;
}

/** @type {Column[]} */
const ERRORS = [
  { title: "Time", cell: (row) => clock(row.time) },
  { title: "Error", cell: (row) => two(row.error_type, row.status_code) },
  { title: "Provider", cell: (row) => two(row.provider, row.model) },
  { title: "Route", cell: (row) => row.route || element("i", {}, "none told"), kind: "wide" },
  { title: "Calls", cell: (row) => count(row.count), kind: "number" },
];

/** @param {string} first @param {string} second */
const two = (first, second) => element("span", { class: "two" }, element("b", {}, first), " ", element("small", {}, second));

/** @param {any} figures */
export function showTables(figures) {
  put("providers", table("Health of the providers", PROVIDERS, figures.providers, "No provider has been called."));
  for (const [id, title, unnamed] of TOPS) {
    const most = Math.max(...figures[id].map((row) => row.cost_usd));
    const none = id === "keys" && !figures.keys_told ? KEYS_UNTOLD : `No ${id} in this time.`;
    put(id, table(`Top ${id}`, used(title, unnamed, most), figures[id], none));
  }
  put("errors", table("The newest first", ERRORS, figures.errors, "None in this time."));
}

const KEYS_UNTOLD = "Keys are not told apart: metrics.identities.api_key_id does it.";
const TOPS = [
  ["models", "Model", "unknown"],
  ["routes", "Route", "none told"],
  ["keys", "Key", "none"],
];

/**
 * Replace a table by a newer one, unless nothing changed: a reader's place and selection are kept.
 * @param {string} id
 * @param {HTMLElement} made
 */
function put(id, made) {
  const place = byId(id);
  if (!place.firstElementChild?.isEqualNode(made)) place.replaceChildren(made);
}
