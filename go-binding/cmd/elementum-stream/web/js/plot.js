// The speeds of the last two minutes.

import { canvasOf, onResize, palette } from "./canvas.js";
import { on, view } from "./state.js";
import { $, put, rate } from "./tools.js";

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

on("state", drawPlot);
onResize("plot", drawPlot);
