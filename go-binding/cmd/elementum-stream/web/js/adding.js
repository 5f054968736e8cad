// Adding: by a field, a file, or something that is dropped on the page.

import { api } from "./api.js";
import { choose } from "./state.js";
import { toast } from "./toasts.js";
import { $, showError } from "./tools.js";

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
