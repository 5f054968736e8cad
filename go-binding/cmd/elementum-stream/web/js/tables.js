// Its peers and trackers.

import { api } from "./api.js";
import { view } from "./state.js";
import { $, clock, el, percent, put, rate } from "./tools.js";

export function panelMessage(tab, message) {
  const panel = $(`panel-${tab}`);
  if (tab !== "limits" && panel.textContent !== message) panel.replaceChildren(el("p", { class: "muted" }, message));
}

function table(tab, columns, values, empty) {
  const panel = $(`panel-${tab}`);
  if (!values.length) {
    panelMessage(tab, empty);
    return;
  }
  let body = panel.querySelector("tbody");
  if (!body) {
    body = el("tbody");
    panel.replaceChildren(el("table", {}, el("thead", {}, el("tr", {},
      ...columns.map(([title, , number]) => el("th", { scope: "col", class: number ? "number" : "" }, title)))), body));
  }
  while (body.children.length > values.length) body.lastChild.remove();
  while (body.children.length < values.length) body.append(el("tr", {}, ...columns.map(([, , number]) => el("td", { class: number ? "number" : "" }))));
  values.forEach((value, i) => columns.forEach(([, text], c) => put(body.children[i].children[c], text(value))));
}

const connections = { tcp: "TCP", socks5: "SOCKS proxy", http: "HTTP proxy", utp: "uTP" };
const encryptions = { rc4: "encrypted", handshake: "encrypted handshake" };

export async function loadPeers(index) {
  const { peers } = await api("GET", `/torrents/${index}/peers`);
  if (index !== view.selected) return;
  table("peers", [
    ["Address", (p) => p.address],
    ["Client", (p) => p.client || "–"],
    ["Has", (p) => percent(p.progress), true],
    ["Down", (p) => rate(p.download_rate), true],
    ["Up", (p) => rate(p.upload_rate), true],
    ["Asked for", (p) => String(p.requests), true],
    ["Delay", (p) => (p.rtt_ms ? `${p.rtt_ms} ms` : "–"), true],
    ["From", (p) => p.source.join(", ")],
    ["By", (p) => [connections[p.connection] ?? p.connection, encryptions[p.encryption]].filter(Boolean).join(", ")],
    ["Flags", (p) => p.flags.filter((f) => ["remote_choked", "snubbed", "seed", "on_parole"].includes(f)).join(", ").replaceAll("_", " ")],
  ], peers, "No peers are connected.");
}

export async function loadTrackers(index) {
  const { trackers } = await api("GET", `/torrents/${index}/trackers`);
  if (index !== view.selected) return;
  const count = (n) => (n < 0 ? "–" : String(n));
  table("trackers", [
    ["Tracker", (t) => t.url],
    ["State", (t) => t.error || t.message || (t.updating ? "being asked" : t.verified ? "answered" : "not asked yet")],
    ["Tier", (t) => String(t.tier), true],
    ["Peers", (t) => count(t.peers), true],
    ["Complete", (t) => count(t.seeds), true],
    ["Others", (t) => count(t.leechers), true],
    ["Fails", (t) => String(t.fails), true],
    ["Next", (t) => (t.next_announce_ms < 0 ? "–" : clock(t.next_announce_ms / 1000)), true],
  ], trackers, "This torrent has no trackers.");
}
