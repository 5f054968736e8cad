// The piece map of the selected torrent.

import { canvasOf, onResize, palette } from "./canvas.js";
import { on, torrentOf, view } from "./state.js";
import { $, bytes, put } from "./tools.js";

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

on("state", () => {
  keepHad(view.state.selected);
  drawMap();
});
onResize("map", drawMap);
