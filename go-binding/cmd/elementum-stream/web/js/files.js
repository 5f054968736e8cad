// Its files.

import { api } from "./api.js";
import { play } from "./player.js";
import { on, tell, torrentOf, view } from "./state.js";
import { $, bytes, el, percent, put, showError } from "./tools.js";

const filesPage = 100;

// What files look like follows from this: how much of them is there, and what left memory.
function filesMark(index) {
  const t = torrentOf(index);
  const storage = view.state?.selected?.index === index ? view.state.selected.storage : null;
  return t ? [t.done, t.pieces_had, storage?.evicted ?? 0].join(" ") : "";
}

export function filesWanted(index, tab) {
  if (view.filesOf !== index) return torrentOf(index)?.has_metadata ?? true;
  return tab === "files" && view.filesMark !== filesMark(index);
}

export async function loadFiles(index) {
  const mark = filesMark(index);
  const [at, find] = [view.filesAt, view.filesFind];
  const query = new URLSearchParams({ pads: "false", offset: at, limit: filesPage, find });
  const { files, total, best } = await api("GET", `/torrents/${index}/files?${query}`);
  if (index !== view.selected || at !== view.filesAt || find !== view.filesFind) return;
  Object.assign(view, { files, best, filesTotal: total, filesOf: index, filesMark: mark });
  drawFiles();
  tell("files");
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

on("playing", drawFiles);
