// What lies over the player, as far as nothing plays.

import { playlistOf } from "./api.js";
import { play } from "./player.js";
import { on, torrentOf, view } from "./state.js";
import { $, baseName, el, put } from "./tools.js";

// What lies over the player, as far as nothing plays: what it has to say, else what the selected torrent is and whether it plays.
function coverNow() {
  if (view.notice) return view.notice;
  if (view.playing) return { text: "" };
  const t = torrentOf(view.selected);
  if (!view.state) return { text: "Connecting to the service…" };
  if (!t) return { text: view.state.torrents.length ? "Choose a torrent." : "Add a torrent, and play it here." };
  if (t.error) return { text: `“${t.name}” stopped: ${t.error.message}`, bad: true };
  if (!t.has_metadata) return { text: t.paused ? `“${t.name}” is paused. Resume it to find out what is in it.` : `Peers are being asked what is in “${t.name}”.` };
  if (view.filesOf !== t.index) return { text: t.name };
  const best = view.best;
  if (!best) return { text: `There is no file in “${t.name}” that plays.` };
  return {
    text: baseName(best.path),
    key: `play ${t.index} ${best.file}`,
    actions: [["▶ Play", () => play(t.index, best)], ["Open in a player", playlistOf(t.index, best.file)]],
  };
}

let covered = "";

// The cover is made anew only where it says something else: somebody may be about to press its button.
function drawCover() {
  const { text, bad, actions = [], key = "" } = coverNow();
  const playable = view.filesOf === view.selected && view.best;
  for (const button of document.querySelectorAll("[data-do]")) button.disabled = !view.playing && !(button.dataset.do === "toggle" && playable);
  const now = JSON.stringify([text, Boolean(bad), key]);
  if (now === covered) return;
  covered = now;
  $("cover").hidden = !text;
  $("cover").classList.toggle("bad", Boolean(bad));
  if (bad) $("cover").setAttribute("role", "alert");
  else $("cover").removeAttribute("role");
  put($("cover-text"), text || "");
  $("cover-actions").replaceChildren(...actions.map(([name, act, more]) => (typeof act === "string"
    ? el("a", { class: "button", href: act, rel: "noreferrer", ...more }, name)
    : el("button", { type: "button", onclick: act }, name))));
}

for (const change of ["state", "selected", "playing", "files"]) on(change, drawCover);
