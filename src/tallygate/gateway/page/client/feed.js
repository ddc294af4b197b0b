// The gateway's events: what it tells, whether it is heard, and coming back when it was away.

const AGAIN_MS = 2000;
const SILENCES = 4;

/**
 * @typedef {{ figures(figures: any, live: boolean): void, update(update: any): void, lost(): void, ended(): void }} Listener
 *   live: more will follow by itself; lost: nothing is heard any more, it is tried again; ended: the session is over
 */

export class Feed {
  /** @type {EventSource | null} */
  #source = null;
  #timer = 0;
  #tick = 5;
  #range = "";

  /**
   * @param {string} path where the page is
   * @param {Listener} listener
   */
  constructor(path, listener) {
    this.path = path;
    this.listener = listener;
  }

  /** @param {string} range */
  open(range) {
    this.close();
    this.#range = range;
    const source = (this.#source = new EventSource(`${this.path}/events?range=${range}`));
    source.addEventListener("figures", (event) => {
      const figures = JSON.parse(event.data);
      this.#tick = figures.tick;
      this.#heard();
      this.listener.figures(figures, true);
    });
    source.addEventListener("update", (event) => {
      this.#heard();
      this.listener.update(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      this.listener.lost();
      // The browser tries again by itself after a broken connection, but not after an answer that says no.
      if (source.readyState === EventSource.CLOSED) this.#refused(source);
    });
    this.#heard();
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** A connection that is silent for several ticks is dead, though nothing says so: a sleeping laptop, a lost network. */
  #heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.listener.lost();
      this.open(this.#range);
    }, Math.max(10, this.#tick * SILENCES) * 1000);
  }

  /** @param {EventSource} source */
  async #refused(source) {
    clearTimeout(this.#timer);
    const answer = await fetch(`${this.path}/figures?range=${this.#range}`).catch(() => null);
    if (source !== this.#source) return;
    if (answer?.status === 401) return this.listener.ended();
    // No events, as when too many pages are open, but figures: those of now are better than none.
    if (answer?.ok) this.listener.figures(await answer.json(), false);
    this.#timer = setTimeout(() => this.open(this.#range), AGAIN_MS);
  }
}
