// Light or dark: the system's choice until somebody chooses here.

import { byId } from "./elements.js";

const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

/**
 * Make the switch work.
 * @param {() => void} changed called after the colours changed
 */
export function followColours(changed) {
  const button = byId("dark");
  const show = () => button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("tallygate-theme", root.dataset.theme);
    } catch {
      // Storage is switched off: the choice holds until the page is left.
    }
    show();
    changed();
  });
  system.addEventListener("change", () => {
    show();
    changed();
  });
  show();
}
