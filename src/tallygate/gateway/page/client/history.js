// The curves of a range as the browser keeps them: those it was sent, and every update since.

/**
 * @typedef {Record<string, (number | null)[]>} Series  one value per time, by name
 * @typedef {{ step: number, span: number, times: number[], series: Series }} History
 */

const SPANS = { "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400 };

/**
 * The curves of these figures. A gateway that was restarted knows less than this page: of a `previous` history of the
 * same steps those points are kept of which the figures say nothing.
 * @param {any} figures
 * @param {History | null} previous
 * @returns {History}
 */
export function begin(figures, previous) {
  const { step, times, series } = figures;
  const history = { step, span: SPANS[figures.range], times, series };
  if (!previous || previous.step !== step) return history;
  const known = new Map(previous.times.map((time, index) => [time, index]));
  times.forEach((time, index) => {
    const before = known.get(time);
    if (before === undefined || series.requests[index] !== null) return;
    for (const name in series) series[name][index] = previous.series[name][before];
  });
  return history;
}

/**
 * Put in what is new: it replaces the last point, or comes after it; steps that were missed stay unknown.
 * @param {History} history
 * @param {any} update
 */
export function extend(history, update) {
  const { step, span, times, series } = history;
  const oldest = update.time - span;
  for (let time = Math.max(times.at(-1) + step, oldest); time <= update.time; time += step) {
    times.push(time);
    for (const name in series) series[name].push(null);
  }
  if (times.at(-1) === update.time) for (const name in series) series[name][times.length - 1] = update.values[name];
  const gone = times.findIndex((time) => time > oldest);
  times.splice(0, gone);
  for (const name in series) series[name].splice(0, gone);
}

/** Seconds without a sample that are a gap; a gateway that is busy may be late by less. */
const GAP_SECONDS = 15;

/**
 * When nothing was sampled for a while, between two times when something was: when each gap began and ended.
 * @param {History} history
 * @returns {[number, number][]}
 */
export function gaps({ times, series, step }) {
  const found = [];
  let last = null;
  times.forEach((time, index) => {
    if (series.requests[index] === null) return;
    if (last !== null && time - last - step >= GAP_SECONDS) found.push([last + step, time]);
    last = time;
  });
  return found;
}

/**
 * The points that curves are drawn through: those that were sampled, and those of gaps, where curves break.
 * @param {History} history
 * @returns {number[]} their indices
 */
export function drawn(history) {
  const away = gaps(history);
  const { times, series } = history;
  const inGap = (time) => away.some(([from, to]) => time >= from && time < to);
  return [...times.keys()].filter((index) => series.requests[index] !== null || inGap(times[index]));
}

/**
 * The newest value that is known, and the greatest one.
 * @param {(number | null)[]} values
 * @returns {{ now: number | null, most: number | null, at: number }} `at`: the index of the greatest
 */
export function extent(values) {
  const most = values.reduce((best, value) => (value !== null && (best === null || value > best) ? value : best), null);
  return { now: values.findLast((value) => value !== null) ?? null, most, at: values.lastIndexOf(most) };
}
