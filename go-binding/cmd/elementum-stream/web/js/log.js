// Alerts.

import { view } from "./state.js";
import { toast } from "./toasts.js";
import { $, el, put } from "./tools.js";

export function takeAlert(alert) {
  if (alert.sequence <= view.lastAlert) return;
  // What was before the page is in the log, and no news.
  const old = view.lastAlert === 0 && Date.now() - alert.time > 5000;
  view.lastAlert = alert.sequence;
  if (alert.news && !old) toast(alert.text, true);
  view.alerts.unshift(alert);
  if (view.alerts.length > 200) view.alerts.pop();
  if (!logFits(alert)) return;
  $("log").prepend(logLine(alert));
  while ($("log").children.length > 200) $("log").lastChild.remove();
  $("log-empty").hidden = true;
}

// These come by the hundred; they are seen on the map, the buffer and among the peers, and here when asked for. Of trackers that fail there
// are many in any torrent: they are seen among the trackers, and here when those are asked for.
const frequent = new Set(["piece_evicted", "reader_ready", "reader_stalled", "prebuffer_progress", "peer_connect", "peer_disconnected", "peer_snubbed", "peer_unsnubbed",
  "tracker_announce", "tracker_reply", "dht_reply"]);

const trackerTrouble = new Set(["tracker_error", "tracker_warning"]);

function logFits(alert) {
  const kind = $("log-kind").value;
  const text = $("log-find").value.trim().toLowerCase();
  if (trackerTrouble.has(alert.type) && kind !== "tracker") return false;
  if (kind ? !alert.categories.includes(kind) : frequent.has(alert.type)) return false;
  return !text || `${alert.type} ${alert.text} ${alert.message}`.toLowerCase().includes(text);
}

function logLine(alert) {
  const time = new Date(alert.time);
  return el("li", { class: alert.categories.includes("error") ? "bad" : "", title: alert.message },
    el("time", { dateTime: time.toISOString() }, time.toLocaleTimeString([], { hour12: false })),
    el("span", { class: "text" }, alert.text + (alert.dropped ? ` (${alert.dropped} before it were lost.)` : "")));
}

function drawLog() {
  const lines = view.alerts.filter(logFits);
  $("log").replaceChildren(...lines.map(logLine));
  $("log-empty").hidden = lines.length > 0;
  put($("log-empty"), view.alerts.length ? "Nothing fits." : "Nothing yet.");
}

$("log-kind").addEventListener("change", drawLog);
$("log-find").addEventListener("input", drawLog);
