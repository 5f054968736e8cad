// Limits of the torrent and of the session.

import { api } from "./api.js";
import { on, torrentOf, view } from "./state.js";
import { toast } from "./toasts.js";
import { $, showError } from "./tools.js";

export function fillLimits() {
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
on("selected", fillLimits);
