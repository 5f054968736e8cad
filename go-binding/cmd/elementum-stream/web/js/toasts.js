// Messages are shown one at a time; those that wait are few, and none is shown twice in a row.

import { $, el } from "./tools.js";

// Messages are shown one at a time; those that wait are few, and none is shown twice in a row.
const messages = [];
let shown = null;

export function toast(message, bad) {
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
