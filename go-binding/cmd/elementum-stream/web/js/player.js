// The player.

import { api, playlistOf } from "./api.js";
import { on, tell, torrentOf, view } from "./state.js";
import { toast } from "./toasts.js";
import { $, baseName, bytes, put } from "./tools.js";

export const video = $("video");

function notify(text, ...actions) {
  view.notice = { text, bad: true, actions, key: String(Date.now()) };
  tell("playing");
}

export function play(index, file) {
  const t = torrentOf(index);
  view.playing = { index, file: file.file, path: file.path, size: file.size, stream: file.stream, kind: file.kind, name: t?.name || "" };
  view.notice = null;
  tell("playing");
  video.src = file.stream;
  put($("now-title"), baseName(file.path));
  put($("now-detail"), [t?.name !== file.path ? t?.name : "", bytes(file.size), file.content_type].filter(Boolean).join(" · "));
  $("external").hidden = false;
  $("external").href = playlistOf(index, file.file);
  video.play().catch(() => { /* Where it may not start by itself, the button does it; errors come as events. */ });
}

export async function playFirst(index) {
  try {
    const { best } = await api("GET", `/torrents/${index}/files?limit=1`);
    if (best) play(index, best);
    else toast(`There is no file in “${torrentOf(index)?.name}” that plays.`, true);
  } catch (error) {
    toast(error.message, true);
  }
}

function stop(message) {
  view.playing = null;
  video.removeAttribute("src");
  video.load();
  $("external").hidden = true;
  put($("now-title"), "Nothing plays");
  put($("now-detail"), "");
  tell("playing");
  if (message) notify(message);
}

function checkPlaying() {
  if (view.playing && !torrentOf(view.playing.index)) {
    stop(`“${view.playing.name}” was removed while it was playing. Choose another file.`);
  }
}

video.addEventListener("error", async () => {
  const playing = view.playing;
  if (!playing || !video.getAttribute("src")) return;
  const again = ["Try again", () => retry(playing)];
  let reason = "";
  try {
    const response = await fetch(playing.stream, { method: "GET", headers: { Range: "bytes=0-0" } });
    if (!response.ok) reason = (await response.json()).error.message;
    else await response.arrayBuffer();
  } catch {
    reason = "The service does not answer. Is it still running?";
  }
  if (view.playing !== playing) return;
  if (reason) {
    notify(`This cannot be played now: ${reason}`, again);
  } else if (video.error?.code === MediaError.MEDIA_ERR_NETWORK) {
    notify("The stream was cut off.", again);
  } else {
    notify(`This browser does not know the format of “${baseName(playing.path)}”. A player of your own, such as VLC or mpv, plays it.`,
      ["Open in a player", playlistOf(playing.index, playing.file)], ["Direct link", playing.stream, { target: "_blank" }], again);
  }
});

export function retry(playing) {
  const at = video.currentTime;
  view.notice = null;
  tell("playing");
  video.src = playing.stream;
  video.addEventListener("loadedmetadata", () => { if (at > 0) video.currentTime = at; }, { once: true });
  video.play().catch(() => { /* As in play. */ });
}

on("state", checkPlaying);
on("turned away", () => {
  if (view.playing) stop();
  view.notice = null;
});
