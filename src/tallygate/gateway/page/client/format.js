// Numbers and times as people read them. Null, "nothing was measured", is a dash.

export const NONE = "–";
const THIN = "\u202f";

/**
 * A number with thin separators: 1 234 567.
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
const number = (value, options) => new Intl.NumberFormat("en-US", options).format(value).replaceAll(",", THIN);

/**
 * Whole things: all digits below ten millions, then four that matter.
 * @param {number | null} value
 */
export function count(value) {
  if (value === null) return NONE;
  if (value < 1e7) return number(value, { maximumFractionDigits: 0 });
  return number(value, { notation: "compact", maximumSignificantDigits: 4 }).replace(/(\D)$/, `${THIN}$1`);
}

/**
 * Things per second.
 * @param {number | null} value
 */
export function rate(value) {
  if (value === null) return NONE;
  return `${value < 100 ? number(value, { maximumSignificantDigits: 3 }) : count(value)}/s`;
}

/**
 * US dollars: cents from one dollar on, below it the first three digits that are not 0.
 * @param {number | null} value
 */
export function money(value) {
  if (value === null) return NONE;
  if (value >= 10000) return `$${value < 1e7 ? number(value, { maximumFractionDigits: 0 }) : count(value)}`;
  if (value === 0) return "$0";
  const decimals = Math.min(20, Math.max(2, 2 - Math.floor(Math.log10(value))));
  return `$${number(value, { minimumFractionDigits: 2, maximumFractionDigits: decimals })}`;
}

/**
 * US dollars per hour.
 * @param {number | null} value
 */
export const moneyPerHour = (value) => (value === null ? NONE : `${money(value)}/h`);

/**
 * A duration given in seconds.
 * @param {number | null} value
 */
export function seconds(value) {
  if (value === null) return NONE;
  const digits = value < 0.01 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 };
  if (value < 0.9995) return `${number(value * 1000, digits)} ms`;
  if (value < 120) return `${number(value, { maximumSignificantDigits: 3 })} s`;
  return lasting(value);
}

/**
 * A share of 1.
 * @param {number | null} value
 */
export function percent(value) {
  if (value === null) return NONE;
  return number(value, { style: "percent", maximumFractionDigits: value < 0.001 ? 3 : 1 });
}

/**
 * A share, null where there is nothing to take a share of.
 * @param {number} part
 * @param {number} whole
 */
export const ratio = (part, whole) => (whole > 0 ? part / whole : null);

/**
 * A long time: its two greatest units.
 * @param {number} value seconds
 */
export function lasting(value) {
  if (value < 0) return lasting(0); // two clocks that do not agree
  const [days, hours, minutes] = [Math.floor(value / 86400), Math.floor(value / 3600) % 24, Math.floor(value / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(value) % 60} s` : `${Math.floor(value)} s`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/**
 * The time of day, in the reader's time zone.
 * @param {number} unix seconds
 */
export const clock = (unix) => CLOCK.format(unix * 1000);
