// Removing, after a question.

import { api } from "./api.js";
import { torrentOf, view } from "./state.js";
import { $, put, showError } from "./tools.js";

let removing = "";

export function askRemove(index) {
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
