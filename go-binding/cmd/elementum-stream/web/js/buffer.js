// What is there around the place that plays.

import { video } from "./player.js";
import { on, view } from "./state.js";
import { $, bytes, clock, put } from "./tools.js";

// The player's own stream: of its file the newest that has a reader.
function playingStream() {
  if (!view.playing || !view.state) return null;
  return view.state.streams.filter((s) => s.open && s.torrent === view.playing.index && s.file === view.playing.file).pop() || null;
}

function place(node, from, to, size) {
  node.style.left = `${Math.max(0, from / size * 100)}%`;
  node.style.width = `${Math.max(0, Math.min(to, size) - from) / size * 100}%`;
}

function drawBuffer() {
  const stream = playingStream();
  const playing = view.playing;
  const size = playing?.size || 0;
  const played = playing && video.duration > 0 ? video.currentTime / video.duration : -1;
  $("track-play").style.display = played >= 0 ? "" : "none";
  if (played >= 0) $("track-play").style.left = `${Math.min(99.7, played * 100)}%`;
  for (const id of ["track-window", "track-behind", "track-ahead", "track-reader"]) $(id).style.display = stream && size ? "" : "none";
  let text = "No stream is open.";
  if (stream && size) {
    place($("track-window"), stream.window_begin, stream.window_end, size);
    place($("track-behind"), stream.position - stream.buffered_behind, stream.position, size);
    place($("track-ahead"), stream.position, stream.position + stream.buffered_ahead, size);
    $("track-reader").style.left = `${Math.min(99.8, stream.position / size * 100)}%`;
    const perSecond = video.duration > 0 ? size / video.duration : 0;
    const time = (n) => (perSecond ? ` (${clock(n / perSecond)})` : "");
    text = `Ahead ${bytes(stream.buffered_ahead)}${time(stream.buffered_ahead)} · behind ${bytes(stream.buffered_behind)}${time(stream.buffered_behind)}`
      + (stream.waiting && browserAhead() > 3 ? " · the browser takes all that comes" : "");
    $("track").title = `It waited for peers ${stream.stalls} times, ${clock(stream.stall_ms / 1000)} in all`;
  } else if (playing) {
    text = "The browser holds what it needs for now; no stream is open.";
  }
  const browser = browserAhead();
  const stuck = stream?.waiting && browser <= 3;
  $("why").hidden = !stuck;
  if (stuck) put($("why"), `Waiting for ${Math.floor(stream.waited_ms / 1000)} s: ${stream.explanation}`);
  if (playing && browser > 0) text += ` · browser ${clock(browser)} ahead`;
  put($("buffer-text"), text);
  $("track").setAttribute("aria-label", `Buffer. ${text}`);
}

function browserAhead() {
  for (let i = 0; i < video.buffered.length; i++) {
    if (video.buffered.start(i) <= video.currentTime + 0.1 && video.buffered.end(i) >= video.currentTime) return video.buffered.end(i) - video.currentTime;
  }
  return 0;
}

for (const name of ["timeupdate", "seeking", "progress"]) video.addEventListener(name, () => drawBuffer());
on("state", drawBuffer);
