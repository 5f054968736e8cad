"use strict";

// The page. The service sends its whole state twice a second (events); here it is drawn. Names come from strangers' torrents: they only
// ever become text.

const API = "/api/v1";
const $ = (id) => document.getElementById(id);

const view = {
  state: null,
  selected: "",
  tab: "files",
  // A part of the files of the torrent `filesOf`: from `filesAt` on, of `filesTotal` that fit what is looked for.
  files: [],
  filesOf: "",
  filesAt: 0,
  filesTotal: 0,
  filesFind: "",
  // As the files were when they were asked for; see filesMark.
  filesMark: "",
  // The largest file of that torrent that plays.
  best: null,
  // What is being played, and what the player has to say instead.
  playing: null,
  notice: null,
  speeds: [],
  alerts: [],
  lastAlert: 0,
  // Pieces of the selected torrent that were there once, to tell evicted ones from those never had.
  had: new Uint8Array(0),
  hadOf: "",
};

/* Small tools */

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Text is only set where it changed: screen readers and selections stay calm.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) { n /= 1000; unit++; }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

const rate = (n) => `${bytes(n)}/s`;

function mebibytes(n) {
  const mib = n / 1048576;
  return mib >= 100 ? String(Math.round(mib)) : mib.toFixed(1);
}

function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  const pad = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}` : `${Math.floor(s / 60)}:${pad(s % 60)}`;
}

const percent = (x) => `${(x * 100).toFixed(x > 0 && x < 1 ? 1 : 0)} %`;

async function api(method, path, body, type) {
  const request = { method, headers: {} };
  if (body !== undefined) {
    request.headers["Content-Type"] = type || "application/json";
    request.body = type ? body : JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(API + path, request);
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (response.status === 204) return null;
  let value = null;
  try { value = await response.json(); } catch { /* An error without a body is told by its number. */ }
  if (!response.ok) {
    const failed = new Error(value?.error?.message || `The service answered ${response.status}.`);
    failed.code = value?.error?.code || "";
    throw failed;
  }
  return Object.assign(value, { created: response.status === 201 });
}

function showError(node, message) {
  node.hidden = !message;
  put(node, message || "");
}

// Messages are shown one at a time; those that wait are few, and none is shown twice in a row.
const messages = [];
let shown = null;

function toast(message, bad) {
  if (shown?.message === message || messages.some((m) => m.message === message)) return;
  messages.push({ message, bad });
  if (messages.length > 4) messages.splice(messages.findIndex((m) => !m.bad) >= 0 ? messages.findIndex((m) => !m.bad) : 0, 1);
  if (!shown) nextToast();
}

function nextToast() {
  clearTimeout(shown?.timer);
  $("toasts").replaceChildren();
  shown = messages.shift() || null;
  if (!shown) return;
  const { message, bad } = shown;
  $("toasts").append(el("div", { class: bad ? "toast bad" : "toast", role: bad ? "alert" : "status" }, el("p", {}, message),
    el("button", { type: "button", "aria-label": "Dismiss", onclick: nextToast }, "✕")));
  shown.timer = setTimeout(nextToast, bad ? 9000 : 4000);
}

const torrentOf = (index) => view.state?.torrents.find((t) => t.index === index);

/* Events */

let source = null;
let reconnect = 0;

function listen() {
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

function take(state) {
  // A service that was started again counts its alerts from 1 again.
  if (view.state && state.session.uptime_ms < view.state.session.uptime_ms) view.lastAlert = 0;
  view.state = state;
  const now = state.time;
  view.speeds.push({ at: now, down: state.session.download_rate, up: state.session.upload_rate });
  while (view.speeds.length && view.speeds[0].at < now - 120000) view.speeds.shift();

  if (!torrentOf(view.selected)) {
    const next = state.torrents[0]?.index || "";
    if (next !== view.selected) select(next);
  }
  checkPlaying();
  drawSession(state.session);
  drawTorrents(state.torrents);
  drawDetail();
  drawCover();
  drawBuffer();
  keepHad(state.selected);
  drawMap();
  drawPlot();
}

// choose is select by a person: what the player had to say of another torrent is over then.
function choose(index) {
  if (index !== view.selected && view.notice) {
    if (view.playing) stop();
    view.notice = null;
  }
  select(index);
}

function select(index) {
  if (index === view.selected) return;
  view.selected = index;
  view.files = [];
  view.filesOf = "";
  view.filesAt = 0;
  view.filesTotal = 0;
  view.filesFind = "";
  view.best = null;
  if (view.state) view.state.selected = null;
  for (const id of ["panel-files", "panel-peers", "panel-trackers"]) $(id).replaceChildren();
  showError($("detail-error"), "");
  fillLimits();
  listen();
  refresh();
  if (view.state) { drawTorrents(view.state.torrents); drawDetail(); }
  drawCover();
}

/* Session */

function drawSession(s) {
  put($("rate-down"), rate(s.download_rate));
  put($("rate-up"), rate(s.upload_rate));
  put($("peers-count"), String(s.peers));
  put($("memory-text"), `${mebibytes(s.memory_charged)} of ${mebibytes(s.memory_limit)} MiB`);
  const gauge = $("memory-gauge");
  const part = s.memory_limit ? s.memory_charged / s.memory_limit : 0;
  gauge.setAttribute("aria-valuemax", s.memory_limit);
  gauge.setAttribute("aria-valuenow", s.memory_charged);
  gauge.setAttribute("aria-valuetext", $("memory-text").textContent);
  gauge.classList.toggle("full", part > 0.95);
  $("memory-fill").style.width = `${Math.min(100, part * 100)}%`;
  $("memory-peak").style.left = `${Math.min(99, s.memory_limit ? s.memory_peak / s.memory_limit * 100 : 0)}%`;
}

/* List of torrents */

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

const stateNames = {
  checking_files: "checking files",
  downloading_metadata: "asking peers what it is",
  downloading: "downloading",
  finished: "idle: all that is wanted is there",
  seeding: "complete",
};

function stateOf(t) {
  if (t.paused) return "paused";
  // In memory nothing is fetched that nobody reads.
  if (t.state === "downloading" && t.storage === "memory" && !t.readers && !t.download_rate) return "ready";
  return stateNames[t.state] || t.state;
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

async function togglePause(index) {
  const t = torrentOf(index);
  if (!t) return;
  try {
    await api("POST", `/torrents/${index}/${t.paused ? "resume" : "pause"}`);
  } catch (error) {
    if (index === view.selected) showError($("detail-error"), error.message);
    else toast(error.message, true);
  }
}

/* Adding */

async function add(text) {
  const source = text.trim();
  if (!source) throw new Error("Paste a magnet link, the address of a torrent file, or an info-hash.");
  if (/^https?:\/\//i.test(source)) return api("POST", "/torrents", { url: source });
  if (/^magnet:/i.test(source) || /^[0-9a-f]{40}$|^[0-9a-f]{64}$|^[a-z2-7]{32}$/i.test(source)) return api("POST", "/torrents", { magnet: source });
  throw new Error("This is no magnet link, no http address and no info-hash.");
}

async function addFiles(files) {
  for (const file of files) {
    await tryAdd(async () => {
      if (file.size > 16 * 1048576) throw new Error("Torrent files are at most 16 MiB.");
      return api("POST", "/torrents", await file.arrayBuffer(), "application/x-bittorrent");
    }, file.name);
  }
}

async function tryAdd(work, label) {
  const failed = $("add-error");
  showError(failed, "");
  try {
    const added = await work();
    toast(added.created ? `“${added.name}” is added.` : `“${added.name}” is here already.`);
    choose(added.index);
    return true;
  } catch (error) {
    showError(failed, label ? `${label}: ${error.message}` : error.message);
    return false;
  }
}

$("add-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = $("add-field");
  const button = event.target.querySelector("[type=submit]");
  button.disabled = true;
  const done = await tryAdd(() => add(field.value));
  button.disabled = false;
  field.setAttribute("aria-invalid", String(!done));
  if (done) field.value = "";
  else field.focus();
});

$("add-file").addEventListener("change", async (event) => {
  await addFiles([...event.target.files]);
  event.target.value = "";
});

let dragDepth = 0;
const dragged = (event) => [...(event.dataTransfer?.types || [])].some((type) => type === "Files" || type === "text/uri-list" || type === "text/plain");
document.addEventListener("dragenter", (event) => {
  if (!dragged(event)) return;
  dragDepth++;
  $("drop").hidden = false;
});
document.addEventListener("dragleave", () => {
  dragDepth = Math.max(0, dragDepth - 1);
  if (!dragDepth) $("drop").hidden = true;
});
document.addEventListener("dragover", (event) => { if (dragged(event)) event.preventDefault(); });
document.addEventListener("drop", async (event) => {
  dragDepth = 0;
  $("drop").hidden = true;
  if (!dragged(event)) return;
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  if (files.length) await addFiles(files);
  else {
    const text = event.dataTransfer.getData("text/uri-list") || event.dataTransfer.getData("text/plain");
    await tryAdd(() => add(text.split("\n").find((line) => line && !line.startsWith("#")) || ""));
  }
});

/* Removing */

let removing = "";

function askRemove(index) {
  const t = torrentOf(index);
  if (!t) return;
  removing = index;
  put($("remove-name"), t.name);
  $("remove-playing").hidden = view.playing?.index !== index;
  $("remove-files-label").hidden = t.storage !== "disk";
  $("remove-files").checked = false;
  showError($("remove-error"), "");
  $("remove").showModal();
}

$("remove-yes").addEventListener("click", async (event) => {
  event.preventDefault();
  try {
    await api("DELETE", `/torrents/${removing}${$("remove-files").checked ? "?delete_files=true" : ""}`);
    $("remove").close();
  } catch (error) {
    if (error.code === "no_torrent") $("remove").close();
    else showError($("remove-error"), error.message);
  }
});

/* Player */

const video = $("video");

// The playlist that begins with a file: what a player of one's own opens.
const playlistOf = (index, file) => `/stream/${index}/playlist.m3u?file=${file}`;

const baseName = (path) => path.split("/").pop();

// What lies over the player, as far as nothing plays: what it has to say, else what the selected torrent is and whether it plays.
function coverNow() {
  if (view.notice) return view.notice;
  if (view.playing) return { text: "" };
  const t = torrentOf(view.selected);
  if (!view.state) return { text: "Connecting to the service…" };
  if (!t) return { text: view.state.torrents.length ? "Choose a torrent." : "Add a torrent, and play it here." };
  if (t.error) return { text: `“${t.name}” stopped: ${t.error.message}`, bad: true };
  if (!t.has_metadata) return { text: t.paused ? `“${t.name}” is paused. Resume it to find out what is in it.` : `Peers are being asked what is in “${t.name}”.` };
  if (view.filesOf !== t.index) return { text: t.name };
  const best = view.best;
  if (!best) return { text: `There is no file in “${t.name}” that plays.` };
  return {
    text: baseName(best.path),
    key: `play ${t.index} ${best.file}`,
    actions: [["▶ Play", () => play(t.index, best)], ["Open in a player", playlistOf(t.index, best.file)]],
  };
}

let covered = "";

// The cover is made anew only where it says something else: somebody may be about to press its button.
function drawCover() {
  const { text, bad, actions = [], key = "" } = coverNow();
  const playable = view.filesOf === view.selected && view.best;
  for (const button of document.querySelectorAll("[data-do]")) button.disabled = !view.playing && !(button.dataset.do === "toggle" && playable);
  const now = JSON.stringify([text, Boolean(bad), key]);
  if (now === covered) return;
  covered = now;
  $("cover").hidden = !text;
  $("cover").classList.toggle("bad", Boolean(bad));
  if (bad) $("cover").setAttribute("role", "alert");
  else $("cover").removeAttribute("role");
  put($("cover-text"), text || "");
  $("cover-actions").replaceChildren(...actions.map(([name, act, more]) => (typeof act === "string"
    ? el("a", { class: "button", href: act, rel: "noreferrer", ...more }, name)
    : el("button", { type: "button", onclick: act }, name))));
}

function notify(text, ...actions) {
  view.notice = { text, bad: true, actions, key: String(Date.now()) };
  drawCover();
}

function play(index, file) {
  const t = torrentOf(index);
  view.playing = { index, file: file.file, path: file.path, size: file.size, stream: file.stream, kind: file.kind, name: t?.name || "" };
  view.notice = null;
  drawCover();
  forgetTracks();
  clearSubtitles();
  video.src = file.stream;
  offerSubtitles();
  put($("now-title"), baseName(file.path));
  put($("now-detail"), [t?.name !== file.path ? t?.name : "", bytes(file.size), file.content_type].filter(Boolean).join(" · "));
  $("external").hidden = false;
  $("external").href = playlistOf(index, file.file);
  video.play().catch(() => { /* Where it may not start by itself, the button does it; errors come as events. */ });
  drawFiles();
}

async function playFirst(index) {
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
  clearSubtitles();
  $("external").hidden = true;
  put($("now-title"), "Nothing plays");
  put($("now-detail"), "");
  forgetTracks();
  if (message) notify(message);
  drawFiles();
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
  forgetTracks();
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

/* Picture and sound: a browser plays what it knows of a film, and is silent about the rest. */

let heard = { from: 0, told: false };

function forgetTracks() {
  heard = { from: -1, told: false };
  $("trouble").hidden = true;
}

// False: there is none, though it plays; null: the browser does not tell.
function hasPicture() {
  if (video.videoWidth === 0) return false;
  const frames = video.getVideoPlaybackQuality?.().totalVideoFrames;
  return frames === undefined ? null : frames > 0 || document.hidden;
}

function hasSound() {
  if (video.webkitAudioDecodedByteCount !== undefined) return video.webkitAudioDecodedByteCount > 0;
  if (video.mozHasAudio !== undefined) return video.mozHasAudio;
  return video.audioTracks ? video.audioTracks.length > 0 : null;
}

// Two seconds of playing without any are enough to say so.
function checkTracks() {
  if (!view.playing || video.paused || video.seeking || video.readyState < 3) return;
  if (heard.from < 0 || video.currentTime < heard.from) heard.from = video.currentTime;
  if (heard.told || video.currentTime < heard.from + 2) return;
  heard.told = true;
  const noPicture = view.playing.kind === "video" && hasPicture() === false;
  const noSound = hasSound() === false;
  const elsewhere = "“Open in a player” plays it in one of your own, such as VLC or mpv.";
  let text = "";
  if (noPicture && noSound) text = `Neither picture nor sound: this browser does not know the formats in this file. ${elsewhere}`;
  else if (noPicture) text = `No picture: this browser plays the sound of this file and does not know the format of its picture. ${elsewhere}`;
  else if (noSound) text = `No sound: this file has none, or this browser does not know its format (often AC-3 or DTS). ${elsewhere}`;
  $("trouble").hidden = !text;
  put($("trouble"), text);
}

video.addEventListener("timeupdate", checkTracks);

function retry(playing) {
  const at = video.currentTime;
  view.notice = null;
  drawCover();
  video.src = playing.stream;
  video.addEventListener("loadedmetadata", () => { if (at > 0) video.currentTime = at; }, { once: true });
  video.play().catch(() => { /* As in play. */ });
}

for (const name of ["play", "pause", "emptied", "ended"]) {
  video.addEventListener(name, () => put(document.querySelector('[data-do="toggle"]'), video.paused ? "Play" : "Pause"));
}
for (const name of ["timeupdate", "seeking", "progress"]) video.addEventListener(name, () => drawBuffer());

const commands = {
  toggle() {
    if (!view.playing) {
      if (view.best && view.filesOf === view.selected) play(view.selected, view.best);
      return;
    }
    if (view.notice) {
      retry(view.playing);
      return;
    }
    if (video.paused) video.play().catch(() => { /* As in play. */ });
    else video.pause();
  },
  seek(by) {
    if (view.playing && Number.isFinite(video.duration)) video.currentTime = Math.min(Math.max(0, video.currentTime + by), video.duration);
  },
  back() { commands.seek(-10); },
  forward() { commands.seek(10); },
  volume(by) { video.volume = Math.min(1, Math.max(0, video.volume + by)); },
  mute() { video.muted = !video.muted; },
  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else (video.requestFullscreen?.() ?? Promise.reject(new Error())).catch(() => video.webkitEnterFullscreen?.());
  },
};

for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => commands[button.dataset.do]());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  const writes = target.matches("input, select, textarea, [contenteditable]");
  if (event.key === "Escape" && writes) { target.blur(); return; }
  if (writes || document.querySelector("dialog[open]")) return;
  const presses = target.matches("button, a, [role=tab], summary");
  const scrolls = target.closest("#log, .panel, [role=tablist]");
  const keys = {
    k: () => commands.toggle(),
    j: () => commands.seek(-10),
    l: () => commands.seek(10),
    f: () => commands.full(),
    m: () => commands.mute(),
    "/": () => $("add-field").focus(),
    "?": () => $("help").showModal(),
  };
  if (!presses) keys[" "] = () => commands.toggle();
  if (!presses && !scrolls && view.playing) {
    keys.ArrowLeft = () => commands.seek(-5);
    keys.ArrowRight = () => commands.seek(5);
    keys.ArrowUp = () => commands.volume(0.05);
    keys.ArrowDown = () => commands.volume(-0.05);
  }
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}, true);

$("help-open").addEventListener("click", () => $("help").showModal());

/* Subtitles: the browser takes WebVTT; SubRip is made into it here. */

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

/* Buffer */

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

/* Piece map */

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["have", "behind", "flight", "window", "evicted", "none", "ink", "soft", "line", "accent", "up"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

let palette = colours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  palette = colours();
  drawMap();
  drawPlot();
});

function decode(base64) {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

function keepHad(pieces) {
  if (!pieces || pieces.index !== view.selected) return;
  if (view.hadOf !== pieces.index || view.had.length !== pieces.pieces) {
    view.had = new Uint8Array(pieces.pieces);
    view.hadOf = pieces.index;
  }
  pieces.bits = decode(pieces.bitfield);
  for (let i = 0; i < pieces.pieces; i++) if (pieces.bits[i >> 3] & (0x80 >> (i & 7))) view.had[i] = 1;
}

// What each piece is: one kind each, those that tell most first.
function kindsOf(pieces) {
  const kinds = new Array(pieces.pieces).fill("none");
  const heads = new Set();
  for (let i = 0; i < kinds.length; i++) {
    if (pieces.bits[i >> 3] & (0x80 >> (i & 7))) kinds[i] = "have";
    else if (view.had[i]) kinds[i] = "evicted";
  }
  for (const stream of view.state.streams) {
    if (!stream.open || stream.torrent !== pieces.index) continue;
    const piece = (offset) => Math.floor((stream.file_offset + offset) / pieces.piece_length);
    const position = piece(Math.min(stream.position, Math.max(0, stream.size - 1)));
    const end = stream.window_end > stream.window_begin ? piece(stream.window_end - 1) : position;
    for (let i = piece(stream.window_begin); i <= end && i < kinds.length; i++) {
      if (i < position && kinds[i] === "have") kinds[i] = "behind";
      else if (i >= position && kinds[i] !== "have") kinds[i] = "window";
    }
    heads.add(position);
  }
  const fill = new Map();
  for (const part of pieces.partial) {
    if (kinds[part.piece] === "have" || kinds[part.piece] === "behind") continue;
    kinds[part.piece] = "flight";
    fill.set(part.piece, part.blocks ? part.finished / part.blocks : 0);
  }
  return { kinds, heads, fill };
}

function canvasOf(id, height) {
  const canvas = $(id);
  const width = canvas.clientWidth;
  if (height) canvas.style.height = `${height}px`;
  const tall = height || canvas.clientHeight;
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(tall * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, tall);
  return { context, width, height: tall };
}

// So much that most telling kinds win where one cell stands for several pieces.
const rank = { flight: 5, window: 4, behind: 3, have: 2, evicted: 1, none: 0 };

function drawMap() {
  const pieces = view.state?.selected;
  if (!pieces || !pieces.bits) {
    canvasOf("map", 48);
    put($("map-text"), torrentOf(view.selected) ? "Not known yet: no metadata." : "No torrent is selected.");
    return;
  }
  const { kinds, heads, fill } = kindsOf(pieces);
  const width = $("map").clientWidth;
  const tallest = Math.max(260, innerHeight / 4);
  const unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  let cell = Math.floor(Math.max(10, Math.min(22 * unit, Math.sqrt(width * 150 * unit / kinds.length))));
  let per = 1;
  const rowsOf = () => Math.ceil(Math.ceil(kinds.length / per) / Math.max(1, Math.floor(width / cell)));
  while (cell > 5 && rowsOf() * cell > tallest) cell--;
  while (rowsOf() * cell > tallest) per++;
  const columns = Math.max(1, Math.floor(width / cell));
  const cells = Math.ceil(kinds.length / per);
  const { context } = canvasOf("map", Math.max(1, Math.ceil(cells / columns)) * cell + 2);
  const gap = cell > 7 ? 2 : 1;
  const side = cell - gap;
  for (let c = 0; c < cells; c++) {
    const x = (c % columns) * cell + 1;
    const y = Math.floor(c / columns) * cell + 1;
    let kind = "none";
    let head = false;
    for (let i = c * per; i < Math.min((c + 1) * per, kinds.length); i++) {
      if (rank[kinds[i]] > rank[kind]) kind = kinds[i];
      head ||= heads.has(i);
    }
    drawCell(context, kind, x, y, side, fill.get(c * per) ?? 0.5);
    if (head) {
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      context.strokeRect(x, y, side, side);
    }
  }
  describeMap(pieces, kinds, per);
}

function drawCell(context, kind, x, y, side, part) {
  context.fillStyle = kind === "have" || kind === "behind" ? palette[kind] : palette.none;
  context.fillRect(x, y, side, side);
  if (kind === "flight") {
    const tall = Math.max(2, side * part);
    context.fillStyle = palette.flight;
    context.fillRect(x, y + side - tall, side, tall);
    context.strokeStyle = palette.flight;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
  } else if (kind === "window") {
    context.strokeStyle = palette.window;
    context.lineWidth = side > 6 ? 2 : 1;
    const inset = context.lineWidth / 2;
    context.strokeRect(x + inset, y + inset, side - 2 * inset, side - 2 * inset);
  } else if (kind === "evicted") {
    context.strokeStyle = palette.evicted;
    context.lineWidth = Math.max(1, side / 6);
    context.beginPath();
    context.moveTo(x + 1, y + side - 1);
    context.lineTo(x + side - 1, y + 1);
    context.stroke();
  }
}

let described = 0;

function describeMap(pieces, kinds, per) {
  const now = Date.now();
  const count = {};
  for (const kind of kinds) count[kind] = (count[kind] || 0) + 1;
  for (const item of $("legend").children) {
    const kind = item.dataset.kind;
    item.title = kind === "head" ? "Where a stream reads" : `${count[kind] || 0} pieces`;
  }
  // Not at each draw: somebody may be listening to it.
  if (now - described < 2000) return;
  described = now;
  const had = (count.have || 0) + (count.behind || 0);
  put($("map-text"), [
    `${had} of ${kinds.length} there`,
    count.behind ? `${count.behind} behind` : "",
    count.flight ? `${count.flight} in flight` : "",
    count.evicted ? `${count.evicted} evicted` : "",
    pieces.storage.refetched ? `${pieces.storage.refetched} fetched again` : "",
    `${bytes(pieces.piece_length)} each`,
    per > 1 ? `${per} to a cell` : "",
  ].filter(Boolean).join(" · "));
}

/* Speed plot */

function niceTop(value) {
  const least = Math.max(value, 10000);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least);
}

function drawPlot() {
  const { context, width, height } = canvasOf("plot");
  if (!width || !height) return;
  const font = getComputedStyle(document.documentElement).fontSize;
  const unit = Math.max(11, parseFloat(font) * 0.72);
  const foot = unit + 6;
  const now = view.speeds.at(-1)?.at || Date.now();
  const top = niceTop(Math.max(0, ...view.speeds.map((s) => Math.max(s.down, s.up))) * 1.05);
  const x = (at) => width - (now - at) / 120000 * width;
  const y = (value) => height - foot - value / top * (height - foot - unit - 4);
  context.font = `${unit}px system-ui, sans-serif`;
  context.fillStyle = palette.soft;
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  for (const part of [0, 0.5, 1]) {
    const line = Math.round(y(top * part)) + 0.5;
    context.beginPath();
    context.moveTo(0, line);
    context.lineTo(width, line);
    context.stroke();
    if (part) context.fillText(rate(top * part), 2, line - 4);
  }
  context.fillText("2 min ago", 2, height - 3);
  context.textAlign = "right";
  context.fillText("now", width - 2, height - 3);
  context.textAlign = "left";
  const path = (key) => {
    context.beginPath();
    view.speeds.forEach((s, i) => (i ? context.lineTo(x(s.at), y(s[key])) : context.moveTo(x(s.at), y(s[key]))));
  };
  if (view.speeds.length > 1) {
    path("down");
    context.strokeStyle = palette.have;
    context.lineWidth = 2;
    context.stroke();
    context.lineTo(width, y(0));
    context.lineTo(x(view.speeds[0].at), y(0));
    context.globalAlpha = 0.16;
    context.fillStyle = palette.have;
    context.fill();
    context.globalAlpha = 1;
    path("up");
    context.strokeStyle = palette.up;
    context.setLineDash([5, 4]);
    context.stroke();
    context.setLineDash([]);
  }
  const last = view.speeds.at(-1);
  if (last) put($("plot-text"), `down ${rate(last.down)} (line) · up ${rate(last.up)} (dashes)`);
}

const sizes = new ResizeObserver(() => { drawMap(); drawPlot(); });
for (const id of ["map", "plot"]) sizes.observe($(id).parentElement);

/* Details of the selected torrent */

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

function panelMessage(tab, message) {
  const panel = $(`panel-${tab}`);
  if (tab !== "limits" && panel.textContent !== message) panel.replaceChildren(el("p", { class: "muted" }, message));
}

const filesPage = 100;

// What files look like follows from this: how much of them is there, and what left memory.
function filesMark(index) {
  const t = torrentOf(index);
  const storage = view.state?.selected?.index === index ? view.state.selected.storage : null;
  return t ? [t.done, t.pieces_had, storage?.evicted ?? 0].join(" ") : "";
}

function filesWanted(index, tab) {
  if (view.filesOf !== index) return torrentOf(index)?.has_metadata ?? true;
  return tab === "files" && view.filesMark !== filesMark(index);
}

async function loadFiles(index) {
  const mark = filesMark(index);
  const [at, find] = [view.filesAt, view.filesFind];
  const query = new URLSearchParams({ pads: "false", offset: at, limit: filesPage, find });
  const { files, total, best } = await api("GET", `/torrents/${index}/files?${query}`);
  if (index !== view.selected || at !== view.filesAt || find !== view.filesFind) return;
  Object.assign(view, { files, best, filesTotal: total, filesOf: index, filesMark: mark });
  drawFiles();
  drawCover();
}

// turn shows another part of the files.
async function turn(at, find) {
  const index = view.selected;
  Object.assign(view, { filesAt: at, filesFind: find });
  try {
    await loadFiles(index);
  } catch (error) {
    if (index === view.selected) showError($("detail-error"), error.message);
  }
}

let finding = 0;

// drawPager is for torrents of more files than are shown at once.
function drawPager(panel) {
  let pager = panel.querySelector(".pager");
  const many = view.filesTotal > filesPage || view.filesFind !== "";
  if (!many) {
    pager?.remove();
    return;
  }
  if (!pager) {
    const field = el("input", { type: "search", "aria-label": "Find files by name", placeholder: "Find files", value: view.filesFind, maxLength: 100, oninput: () => {
      clearTimeout(finding);
      finding = setTimeout(() => turn(0, field.value.trim()), 250);
    } });
    pager = el("div", { class: "pager" }, field,
      el("p", { class: "muted", role: "status" }),
      el("div", { class: "controls" },
        el("button", { type: "button", onclick: () => turn(Math.max(0, view.filesAt - filesPage), view.filesFind) }, "Previous"),
        el("button", { type: "button", onclick: () => turn(view.filesAt + filesPage, view.filesFind) }, "Next")));
    panel.prepend(pager);
  }
  const number = (n) => n.toLocaleString("en");
  const from = view.filesAt;
  put(pager.querySelector("p"), view.files.length
    ? `${number(from + 1)} to ${number(from + view.files.length)} of ${number(view.filesTotal)} files` : "No file has that in its name.");
  const [before, after] = pager.querySelectorAll("button");
  before.disabled = from === 0;
  after.disabled = from + view.files.length >= view.filesTotal;
}

const priorities = [["0", "when played"], ["1", "low"], ["2", "2"], ["3", "3"], ["4", "normal"], ["5", "5"], ["6", "6"], ["7", "top"]];

function drawFiles() {
  const panel = $("panel-files");
  if (view.filesOf !== view.selected || !view.filesOf) return;
  const of = [view.filesOf, view.filesAt, view.filesFind, view.files.length].join("|");
  let body = panel.querySelector("tbody");
  if (!body || body.dataset.of !== of) {
    body = el("tbody");
    body.dataset.of = of;
    body.append(...view.files.map(fileRow));
    for (const old of [...panel.children]) if (!old.classList.contains("pager")) old.remove();
    panel.append(el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Name"), el("th", { scope: "col", class: "number" }, "Size"),
      el("th", { scope: "col", class: "number" }, "There"), el("th", { scope: "col" }, "Priority"), el("th", { scope: "col" }, ""))), body));
  }
  drawPager(panel);
  view.files.forEach((file, i) => {
    const row = body.children[i];
    put(row.children[2], percent(file.size ? file.done / file.size : 1));
    const choice = row.querySelector("select");
    if (document.activeElement !== choice) choice.value = String(file.priority);
    row.setAttribute("aria-current", String(view.playing?.index === view.filesOf && view.playing.file === file.file));
  });
}

function fileRow(file) {
  const index = view.filesOf;
  // The directory that all files are in has the torrent's name, which is to be read above.
  const directory = `${torrentOf(index)?.name}/`;
  const name = file.path.startsWith(directory) ? file.path.slice(directory.length) : file.path;
  const buttons = el("div", { class: "controls" },
    file.playable ? el("button", { type: "button", class: "primary", "aria-label": `Play ${name}`, onclick: () => { play(index, file); $("screen").scrollIntoView({ block: "nearest" }); } }, "Play") : null,
    el("a", { class: "button", href: file.stream, target: "_blank", rel: "noreferrer", "aria-label": `Direct link of ${name}` }, file.playable ? "Link" : "Save"));
  const choice = el("select", { "aria-label": `Priority of ${name}`, onchange: () => setPriority(index, file, choice) },
    ...priorities.map(([value, text]) => el("option", { value }, text)));
  return el("tr", {}, el("td", { class: "name" }, name), el("td", { class: "number" }, bytes(file.size)), el("td", { class: "number" }),
    el("td", { class: "choice" }, choice), el("td", { class: "act" }, buttons));
}

async function setPriority(index, file, choice) {
  try {
    const { priority } = await api("PUT", `/torrents/${index}/files/${file.file}/priority`, { priority: Number(choice.value) });
    file.priority = priority;
    showError($("detail-error"), "");
  } catch (error) {
    choice.value = String(file.priority);
    showError($("detail-error"), `${file.path}: ${error.message}`);
  }
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

async function loadPeers(index) {
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
    ["Flags", (p) => p.flags.filter((f) => ["remote_choked", "snubbed", "seed", "on_parole"].includes(f)).join(", ").replaceAll("_", " ")],
  ], peers, "No peers are connected.");
}

async function loadTrackers(index) {
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

/* Limits */

function fillLimits() {
  const t = torrentOf(view.selected);
  const s = view.state?.session;
  const fields = $("torrent-limits").elements;
  if (t) {
    fields.download_limit.value = Math.round(t.download_limit / 1000);
    fields.upload_limit.value = Math.round(t.upload_limit / 1000);
  }
  if (s) {
    const whole = $("session-limits").elements;
    whole.memory_limit.value = s.memory_limit / 1048576;
    whole.download_limit.value = Math.round(s.download_limit / 1000);
    whole.upload_limit.value = Math.round(s.upload_limit / 1000);
  }
}

function limitForm(id, path, units) {
  const form = $(id);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const change = {};
    for (const [name, unit] of Object.entries(units)) change[name] = Math.round(Number(form.elements[name].value) * unit);
    const failed = form.querySelector(".error");
    try {
      await api("PATCH", path(), change);
      showError(failed, "");
      toast("Limits are set.");
    } catch (error) {
      showError(failed, error.message);
    }
  });
}

limitForm("torrent-limits", () => `/torrents/${view.selected}`, { download_limit: 1000, upload_limit: 1000 });
limitForm("session-limits", () => "/session", { memory_limit: 1048576, download_limit: 1000, upload_limit: 1000 });

/* Alerts */

function takeAlert(alert) {
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

/* Start */

// The token is a cookie by now; in the address it would be seen and bookmarked.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname);
listen();
