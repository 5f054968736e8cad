// What is known and what is looked at. Those who draw hear of changes (on): "state" came from the service, another torrent is "selected",
// a person has "turned away" from one, something else is "playing" or has to be said instead, "files" were loaded.

export const view = {
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

export const torrentOf = (index) => view.state?.torrents.find((t) => t.index === index);

const hearers = new Map();

export function on(change, hear) {
  hearers.set(change, [...(hearers.get(change) || []), hear]);
}

export function tell(change) {
  for (const hear of hearers.get(change) || []) hear();
}

export function take(state) {
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
  tell("state");
}

// choose is select by a person: what the player had to say of another torrent is over then.
export function choose(index) {
  if (index !== view.selected && view.notice) tell("turned away");
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
  tell("selected");
}

const stateNames = {
  checking_files: "checking files",
  downloading_metadata: "asking peers what it is",
  downloading: "downloading",
  finished: "idle: all that is wanted is there",
  seeding: "complete",
};

export function stateOf(t) {
  if (t.paused) return "paused";
  // In memory nothing is fetched that nobody reads.
  if (t.state === "downloading" && t.storage === "memory" && !t.readers && !t.download_rate) return "ready";
  return stateNames[t.state] || t.state;
}
