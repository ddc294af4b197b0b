// Which charts there are, and of what.

import { count, moneyPerHour, percent, rate, seconds } from "./format.js";

/**
 * @typedef {{ name: string, label: string, colour: string, dash: string }} Curve
 *   name: of the series; colour: of a custom property in style.css; dash: colours are not the only sign
 * @typedef {{ id: string, title: string, format(value: number | null): string, curves: Curve[] }} Chart
 */

/** @param {string} name @param {string} label @param {string} colour @param {string} [dash] */
const curve = (name, label, colour, dash = "solid") => ({ name, label, colour, dash });

/** @param {string} name */
const percentiles = (name) => [
  curve(`${name}_p50`, "p50", "--green"),
  curve(`${name}_p95`, "p95", "--blue", "dash"),
  curve(`${name}_p99`, "p99", "--violet", "dot"),
];

/** @type {Chart[]} */
export const CHARTS = [
  {
    id: "traffic",
    title: "Requests per second",
    format: rate,
    curves: [curve("requests", "Requests", "--blue"), curve("errors", "Errors", "--red", "dash")],
  },
  { id: "spend", title: "Cost per hour", format: moneyPerHour, curves: [curve("cost", "Cost", "--green")] },
  { id: "latency", title: "Latency", format: seconds, curves: percentiles("latency") },
  { id: "ttft", title: "Time to first token", format: seconds, curves: percentiles("ttft") },
  {
    id: "tokens",
    title: "Tokens per second",
    format: rate,
    curves: [
      curve("input_tokens", "Input", "--blue"),
      curve("output_tokens", "Output", "--orange", "dash"),
      curve("cached_tokens", "Cached input", "--green", "dot"),
    ],
  },
  {
    id: "speed",
    title: "Output speed",
    format: rate,
    curves: [curve("tokens_per_second_p50", "Median call", "--orange")],
  },
  { id: "cache", title: "Cache hit rate", format: percent, curves: [curve("cache_hit_ratio", "Hits", "--green")] },
  { id: "active", title: "Active requests", format: count, curves: [curve("active_requests", "At once", "--violet")] },
];
