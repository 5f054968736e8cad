// The list of torrents.

import { api } from "./api.js";
import { play, playFirst } from "./player.js";
import { askRemove } from "./removing.js";
import { choose, on, stateOf, torrentOf, view } from "./state.js";
import { toast } from "./toasts.js";
import { $, bytes, el, put, rate, showError } from "./tools.js";

const rows = new Map();

function drawTorrents(torrents) {
  const list = $("torrents");
  $("empty").hidden = torrents.length > 0;
  const there = new Set(torrents.map((t) => t.index));
  for (const [index, row] of rows) {
    if (!there.has(index)) {
      row.item.remove();
      rows.delete(index);
    }
  }
  for (const t of torrents) {
    let row = rows.get(t.index);
    if (!row) {
      row = newRow(t.index);
      rows.set(t.index, row);
      list.append(row.item);
    }
    put(row.name, t.name);
    put(row.sub, t.error ? t.error.message : summary(t));
    row.sub.classList.toggle("bad", Boolean(t.error));
    row.progress.value = t.size ? t.done / t.size : 0;
    put(row.pause, t.paused ? "Resume" : "Pause");
    row.play.disabled = !t.has_metadata;
    row.play.setAttribute("aria-label", `Play ${t.name}`);
    row.pause.setAttribute("aria-label", `${t.paused ? "Resume" : "Pause"} ${t.name}`);
    row.remove.setAttribute("aria-label", `Remove ${t.name}`);
    row.item.setAttribute("aria-current", String(t.index === view.selected));
  }
}

function summary(t) {
  const what = stateOf(t);
  const size = t.has_metadata ? `${bytes(t.done)} of ${bytes(t.size)}` : "";
  const speed = t.download_rate > 0 ? `↓ ${rate(t.download_rate)}` : "";
  return [what, size, speed, `${t.peers} ${t.peers === 1 ? "peer" : "peers"}`].filter(Boolean).join(" · ");
}

function newRow(index) {
  const name = el("span", { class: "name" });
  const sub = el("span", { class: "sub" });
  const pick = el("button", { type: "button", class: "pick", onclick: () => choose(index), ondblclick: () => playFirst(index) }, name, sub);
  const pause = el("button", { type: "button", onclick: () => togglePause(index) }, "Pause");
  const remove = el("button", { type: "button", onclick: () => askRemove(index) }, "Remove");
  const play = el("button", { type: "button", class: "play", title: "Play", onclick: () => { choose(index); playFirst(index); } }, "▶");
  const progress = el("progress", { max: 1, value: 0, "aria-label": "There now" });
  const item = el("li", {}, play, pick, el("div", { class: "side-buttons" }, pause, remove), progress);
  return { item, play, name, sub, pause, remove, progress };
}

$("torrents").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const item = event.target.closest("li");
  const next = event.key === "ArrowDown" ? item?.nextElementSibling : item?.previousElementSibling;
  if (next) {
    event.preventDefault();
    event.stopPropagation();
    next.querySelector(".pick").focus();
  }
});

export async function togglePause(index) {
  const t = torrentOf(index);
  if (!t) return;
  try {
    await api("POST", `/torrents/${index}/${t.paused ? "resume" : "pause"}`);
  } catch (error) {
    if (index === view.selected) showError($("detail-error"), error.message);
    else toast(error.message, true);
  }
}

on("state", () => drawTorrents(view.state.torrents));
on("selected", () => { if (view.state) drawTorrents(view.state.torrents); });
