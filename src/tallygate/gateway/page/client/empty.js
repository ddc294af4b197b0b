// What to do while nothing was counted: a command that works against this very gateway.

import { byId, say } from "./elements.js";

const BODY = JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello" }] });

const command = [
  `curl ${location.origin}/v1/chat/completions`,
  "-H 'Authorization: Bearer YOUR_KEY'",
  "-H 'Content-Type: application/json'",
  `-d '${BODY}'`,
].join(" \\\n  ");

say(byId("curl"), command);
say(byId("base-url"), `${location.origin}/v1`);

const button = byId("copy");
// A clipboard is only there over TLS or on this machine.
button.hidden = !navigator.clipboard;
button.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(command);
    say(byId("copied"), "Copied.");
  } catch {
    say(byId("copied"), "The browser did not allow it: mark the command and copy it.");
  }
});

/** @param {boolean} empty */
export function showEmpty(empty) {
  byId("empty").hidden = !empty;
}
