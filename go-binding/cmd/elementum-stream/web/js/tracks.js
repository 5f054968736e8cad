// Picture and sound: a browser plays what it knows of a film, and is silent about the rest.

import { video } from "./player.js";
import { on, view } from "./state.js";
import { $, put } from "./tools.js";

export const heard = { from: 0, told: false };

function forgetTracks() {
  Object.assign(heard, { from: -1, told: false });
  $("trouble").hidden = true;
}

// What the browser tells of what plays. False: there is none, though it plays; null: it does not tell.
export const senses = {
  picture() {
    if (video.videoWidth === 0) return false;
    const frames = video.getVideoPlaybackQuality?.().totalVideoFrames;
    return frames === undefined ? null : frames > 0 || document.hidden;
  },
  sound() {
    if (video.webkitAudioDecodedByteCount !== undefined) return video.webkitAudioDecodedByteCount > 0;
    if (video.mozHasAudio !== undefined) return video.mozHasAudio;
    return video.audioTracks ? video.audioTracks.length > 0 : null;
  },
};

// Two seconds of playing without any are enough to say so.
function checkTracks() {
  if (!view.playing || video.paused || video.seeking || video.readyState < 3) return;
  if (heard.from < 0 || video.currentTime < heard.from) heard.from = video.currentTime;
  if (heard.told || video.currentTime < heard.from + 2) return;
  heard.told = true;
  const noPicture = view.playing.kind === "video" && senses.picture() === false;
  const noSound = senses.sound() === false;
  const elsewhere = "“Open in a player” plays it in one of your own, such as VLC or mpv.";
  let text = "";
  if (noPicture && noSound) text = `Neither picture nor sound: this browser does not know the formats in this file. ${elsewhere}`;
  else if (noPicture) text = `No picture: this browser plays the sound of this file and does not know the format of its picture. ${elsewhere}`;
  else if (noSound) text = `No sound: this file has none, or this browser does not know its format (often AC-3 or DTS). ${elsewhere}`;
  $("trouble").hidden = !text;
  put($("trouble"), text);
}

video.addEventListener("timeupdate", checkTracks);

video.addEventListener("error", forgetTracks);
on("playing", forgetTracks);
