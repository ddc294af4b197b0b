// The chart library, plotly: fetched from this gateway when the figures are already there.

/** plotly adds styles of its own, which the page's policy forbids: an element with the style's id keeps it from trying.
 *  The first one is made for this and has its few rules in style.css; the other belongs to its maps, which are not used. */
const STYLES = ["plotly.js-style-global", "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53"];

/** @type {Promise<any> | null} */
let loading = null;

/** The library. Rejects when it cannot be had; the next call tries again. */
export function library() {
  loading ??= new Promise((resolve, reject) => {
    for (const id of STYLES) {
      if (document.getElementById(id)) continue;
      const standIn = document.createElement("template");
      standIn.id = id;
      standIn.className = "no-inline-styles";
      document.head.append(standIn);
    }
    const script = document.createElement("script");
    script.src = String(document.documentElement.dataset.charts);
    script.addEventListener("load", () => resolve(globalThis.Plotly));
    script.addEventListener("error", () => {
      loading = null;
      script.remove();
      reject(new Error(`no charts: ${script.src} could not be loaded`));
    });
    document.head.append(script);
  });
  return loading;
}
