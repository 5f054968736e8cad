// Subtitles: the browser takes WebVTT; SubRip is made into it here.

import { api } from "./api.js";
import { video } from "./player.js";
import { on, view } from "./state.js";
import { toast } from "./toasts.js";
import { $, baseName, el } from "./tools.js";

let subtitleURL = "";

function clearSubtitles() {
  for (const track of video.querySelectorAll("track")) track.remove();
  if (subtitleURL) URL.revokeObjectURL(subtitleURL);
  subtitleURL = "";
  $("subtitles-label").hidden = true;
}

async function offerSubtitles() {
  const playing = view.playing;
  let texts = [];
  try {
    const { files } = await api("GET", `/torrents/${playing.index}/files?kind=subtitle&limit=200`);
    texts = files.filter((f) => /\.(srt|vtt)$/i.test(f.path) && f.size < 4e6);
  } catch { /* Then there are none. */ }
  if (view.playing !== playing) return;
  $("subtitles-label").hidden = !texts.length;
  $("subtitles").replaceChildren(el("option", { value: "" }, "off"),
    ...texts.map((f) => el("option", { value: f.stream }, baseName(f.path))));
}

$("subtitles").addEventListener("change", async (event) => {
  const chosen = event.target.value;
  for (const track of video.querySelectorAll("track")) track.remove();
  if (!chosen) return;
  try {
    const response = await fetch(chosen);
    if (!response.ok) throw new Error((await response.json()).error.message);
    let text = await response.text();
    if (!text.trimStart().startsWith("WEBVTT")) {
      text = `WEBVTT\n\n${text.replace(/\r\n?/g, "\n").replace(/(\d\d:\d\d:\d\d),(\d{3})/g, "$1.$2")}`;
    }
    if (subtitleURL) URL.revokeObjectURL(subtitleURL);
    subtitleURL = URL.createObjectURL(new Blob([text], { type: "text/vtt" }));
    const track = el("track", { kind: "subtitles", src: subtitleURL, label: "Subtitles", default: true });
    video.append(track);
    track.track.mode = "showing";
  } catch (error) {
    toast(`Subtitles: ${error.message}`, true);
  }
});

// A retry plays the same, with its subtitles.
let offeredOf = null;
on("playing", () => {
  if (view.playing === offeredOf) return;
  offeredOf = view.playing;
  clearSubtitles();
  if (view.playing) offerSubtitles();
});
