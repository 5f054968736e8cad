// The service sends its whole state twice a second.

import { API } from "./api.js";
import { takeAlert } from "./log.js";
import { on, take, view } from "./state.js";
import { $, put } from "./tools.js";

let source = null;
let reconnect = 0;

export function listen() {
  clearTimeout(reconnect);
  source?.close();
  source = new EventSource(`${API}/events${view.selected ? `?torrent=${encodeURIComponent(view.selected)}` : ""}`);
  source.addEventListener("open", () => link("live", "live"));
  source.addEventListener("state", (event) => {
    link("live", "live");
    take(JSON.parse(event.data));
  });
  source.addEventListener("alert", (event) => takeAlert(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    link("lost", "connection lost, trying again");
    // The browser tries again by itself unless the answer was an error.
    if (source.readyState === EventSource.CLOSED) {
      clearTimeout(reconnect);
      reconnect = setTimeout(listen, 3000);
    }
  });
}

function link(state, text) {
  $("link").dataset.state = state;
  put($("link"), text);
}

on("selected", listen);
