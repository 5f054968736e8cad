// The tabs below it, and when what they show is asked for.

import { filesWanted, loadFiles } from "./files.js";
import { fillLimits } from "./limits.js";
import { on, torrentOf, view } from "./state.js";
import { loadPeers, loadTrackers, panelMessage } from "./tables.js";
import { $ } from "./tools.js";

const tabs = [...document.querySelectorAll("[role=tab]")];

function openTab(name) {
  view.tab = name;
  for (const tab of tabs) {
    const is = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(is));
    tab.tabIndex = is ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !is;
  }
  if (name === "limits") fillLimits();
  refresh();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => openTab(tab.id.slice(4)));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    next.focus();
    openTab(next.id.slice(4));
  });
}

let refreshing = 0;

// The open tab is asked for every two seconds: these lists may be long, and only one is seen. Files are asked for where something has
// changed since, and only those that are seen.
async function refresh() {
  clearTimeout(refreshing);
  const { selected, tab } = view;
  if (selected && !document.hidden) {
    if (torrentOf(selected)?.has_metadata === false) panelMessage("files", "The files are not known yet: peers are being asked what this magnet link is.");
    try {
      if (filesWanted(selected, tab)) await loadFiles(selected);
      if (tab === "peers") await loadPeers(selected);
      if (tab === "trackers") await loadTrackers(selected);
    } catch (error) {
      if (selected === view.selected && error.code !== "no_torrent" && error.code !== "no_metadata") panelMessage(tab, error.message);
    }
  }
  clearTimeout(refreshing);
  refreshing = setTimeout(refresh, 2000);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

on("selected", () => {
  for (const id of ["panel-files", "panel-peers", "panel-trackers"]) $(id).replaceChildren();
  refresh();
});
