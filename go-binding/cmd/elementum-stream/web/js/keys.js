// Buttons and keys of the player.

import { play, retry, video } from "./player.js";
import { view } from "./state.js";
import { $, put } from "./tools.js";

for (const name of ["play", "pause", "emptied", "ended"]) {
  video.addEventListener(name, () => put(document.querySelector('[data-do="toggle"]'), video.paused ? "Play" : "Pause"));
}

const commands = {
  toggle() {
    if (!view.playing) {
      if (view.best && view.filesOf === view.selected) play(view.selected, view.best);
      return;
    }
    if (view.notice) {
      retry(view.playing);
      return;
    }
    if (video.paused) video.play().catch(() => { /* As in play. */ });
    else video.pause();
  },
  seek(by) {
    if (view.playing && Number.isFinite(video.duration)) video.currentTime = Math.min(Math.max(0, video.currentTime + by), video.duration);
  },
  back() { commands.seek(-10); },
  forward() { commands.seek(10); },
  volume(by) { video.volume = Math.min(1, Math.max(0, video.volume + by)); },
  mute() { video.muted = !video.muted; },
  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else (video.requestFullscreen?.() ?? Promise.reject(new Error())).catch(() => video.webkitEnterFullscreen?.());
  },
};

for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => commands[button.dataset.do]());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  const writes = target.matches("input, select, textarea, [contenteditable]");
  if (event.key === "Escape" && writes) { target.blur(); return; }
  if (writes || document.querySelector("dialog[open]")) return;
  const presses = target.matches("button, a, [role=tab], summary");
  const scrolls = target.closest("#log, .panel, [role=tablist]");
  const keys = {
    k: () => commands.toggle(),
    j: () => commands.seek(-10),
    l: () => commands.seek(10),
    f: () => commands.full(),
    m: () => commands.mute(),
    "/": () => $("add-field").focus(),
    "?": () => $("help").showModal(),
  };
  if (!presses) keys[" "] = () => commands.toggle();
  if (!presses && !scrolls && view.playing) {
    keys.ArrowLeft = () => commands.seek(-5);
    keys.ArrowRight = () => commands.seek(5);
    keys.ArrowUp = () => commands.volume(0.05);
    keys.ArrowDown = () => commands.volume(-0.05);
  }
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}, true);

$("help-open").addEventListener("click", () => $("help").showModal());
