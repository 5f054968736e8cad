// The session: rates, peers, memory.

import { on, view } from "./state.js";
import { $, mebibytes, put, rate } from "./tools.js";

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

on("state", () => drawSession(view.state.session));
