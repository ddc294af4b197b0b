// Runs before anything is painted: the colours somebody chose here before the system's.
"use strict";
{
  const chosen = (() => {
    try {
      return localStorage.getItem("tallygate-theme");
    } catch {
      return null; // storage is switched off: the system's colours
    }
  })();
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}
