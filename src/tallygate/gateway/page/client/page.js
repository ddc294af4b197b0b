// The live page: events in, figures out.

import { followColours } from "./appearance.js";
import { showCharts } from "./charts.js";
import { byId, say } from "./elements.js";
import { showEmpty } from "./empty.js";
import { Feed } from "./feed.js";
import { clock, lasting, seconds } from "./format.js";
import { begin, extend, gaps } from "./history.js";
import { showTables } from "./tables.js";
import { showTiles } from "./tiles.js";

const path = String(document.documentElement.dataset.path);
const RANGES = { "15m": "the last 15 minutes", "1h": "the last hour", "6h": "the last 6 hours", "24h": "the last 24 hours" };

const TROUBLE = new Set(["degraded", "down"]);

/** @type {any} the figures as they came, with every update put in */
let figures = null;
/** @type {import("./history.js").History | null} */
let history = null;
let range = new URLSearchParams(location.search).get("range") ?? "";
if (!(range in RANGES)) range = "15m";

const feed = new Feed(path, {
  figures(got, live) {
    const back = live && byId("connection").dataset.state === "lost";
    announceProviders(got.providers);
    history = begin(got, history);
    figures = got;
    if (live) connection("live", "Live");
    else this.lost();
    if (back) announce("Connected again.");
    show();
  },
  update(got) {
    announceProviders(got.providers);
    Object.assign(figures, got);
    extend(history, got);
    show();
  },
  lost() {
    if (byId("connection").dataset.state === "live") announce("Connection lost, trying again.");
    connection("lost", figures ? `Reconnecting, figures of ${clock(figures.now)}` : "Reconnecting");
  },
  ended() {
    location.assign(`${path}/sign-in`);
  },
});

/** @param {"connecting" | "live" | "lost"} state @param {string} text */
function connection(state, text) {
  byId("connection").dataset.state = state;
  say(byId("connection-text"), text);
}

/** Said aloud: only what a reader has to know now. @param {string} text */
function announce(text) {
  byId("announcer").textContent = text;
}

/** @param {any[]} providers */
function announceProviders(providers) {
  const before = new Map((figures?.providers ?? []).map(({ provider, state }) => [provider, state]));
  const told = providers
    .filter(({ provider, state }) => (before.get(provider) ?? state) !== state)
    .filter(({ provider, state }) => TROUBLE.has(state) || TROUBLE.has(before.get(provider)))
    .map(({ provider, state }) => `Provider ${provider} is ${state}.`);
  if (told.length) announce(told.join(" "));
}

function show() {
  // Nobody sees it: the next look shows all of it.
  if (document.hidden || !figures || !history) return;
  showProblems();
  // After a restart the gateway has counted nothing, but this page has seen something.
  showEmpty(figures.empty && !figures.problem && !history.series.requests.some(Boolean));
  say(byId("covered"), covered());
  showTiles(figures.totals, history);
  showTables(figures);
  say(byId("footer"), footer());
  byId("sign-out").hidden = figures.open;
  showCharts(history, figures.started).then(
    () => say(byId("no-charts"), ""),
    (error) => say(byId("no-charts"), error.message),
  );
}

function showProblems() {
  const away = gaps(history).map(([from, to]) => `No figures from ${clock(from)} to ${clock(to)}: the gateway was away.`);
  const told = [figures.problem, ...away].filter(Boolean).join(" ");
  say(byId("problem"), told);
  byId("problem").hidden = !told;
}

function covered() {
  const since = figures.now - history.span;
  if (figures.source === "prometheus") return `${RANGES[range]}, from Prometheus`;
  return figures.started > since ? `since the gateway's start at ${clock(figures.started)}` : RANGES[range];
}

function footer() {
  const point = `One point is ${lasting(history.step)}, updated every ${seconds(figures.tick)}, last at ${clock(figures.now)}.`;
  return `Tallygate ${figures.version}, up for ${lasting(figures.now - figures.started)}. ${point}`;
}

byId("ranges").addEventListener("change", (event) => {
  range = /** @type {HTMLInputElement} */ (event.target).value;
  const url = new URL(location.href);
  url.searchParams.set("range", range);
  window.history.replaceState(null, "", url);
  history = null;
  connection("connecting", "Connecting");
  feed.open(range);
  announce(`Showing ${RANGES[range]}.`);
});
/** @type {HTMLInputElement} */ (document.querySelector(`input[value="${range}"]`)).checked = true;
document.addEventListener("visibilitychange", show);
followColours(show);
feed.open(range);
