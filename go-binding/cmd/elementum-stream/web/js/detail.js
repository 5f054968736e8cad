// Facts of the selected torrent.

import { askRemove } from "./removing.js";
import { on, stateOf, torrentOf, view } from "./state.js";
import { $, bytes, el, percent, put, showError } from "./tools.js";
import { togglePause } from "./torrents.js";

function drawDetail() {
  const t = torrentOf(view.selected);
  $("detail").hidden = !t;
  if (!t) return;
  put($("detail-title"), t.name);
  put($("detail-pause"), t.paused ? "Resume" : "Pause");
  $("detail-m3u").href = `/stream/${t.index}/playlist.m3u`;
  $("detail-m3u").hidden = !t.has_metadata;
  if (t.error) showError($("detail-error"), `It stopped: ${t.error.message}`);
  const storage = view.state.selected?.index === t.index ? view.state.selected.storage : null;
  facts([
    ["State", stateOf(t)],
    ["Size", t.has_metadata ? bytes(t.size) : "not known yet"],
    ["There now", t.has_metadata ? `${bytes(t.done)} (${percent(t.size ? t.done / t.size : 0)})` : "–"],
    ["Received", bytes(t.downloaded)],
    ["Sent", bytes(t.uploaded)],
    ["Peers", `${t.peers}, ${t.seeds} of them complete`],
    ["Peers known of", String(t.known_peers)],
    ["Storage", t.storage],
    ...(storage && t.storage === "memory" ? [["Evicted", `${storage.evicted} ${storage.evicted === 1 ? "piece" : "pieces"}`], ["In flight", bytes(storage.in_flight)]] : []),
    ["Info-hash", t.info_hash, "wide"],
  ]);
}

function facts(pairs) {
  const box = $("facts");
  if (box.children.length !== pairs.length) box.replaceChildren(...pairs.map(() => el("div", {}, el("dt"), el("dd"))));
  pairs.forEach(([name, value, wide], i) => {
    box.children[i].className = wide || "";
    put(box.children[i].firstChild, name);
    put(box.children[i].lastChild, value);
  });
}

$("detail-pause").addEventListener("click", () => togglePause(view.selected));
$("detail-remove").addEventListener("click", () => askRemove(view.selected));

on("state", drawDetail);
on("selected", () => {
  showError($("detail-error"), "");
  if (view.state) drawDetail();
});
