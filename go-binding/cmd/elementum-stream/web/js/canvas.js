// What the map and the plot are drawn on.

import { $ } from "./tools.js";

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["have", "behind", "flight", "window", "evicted", "none", "ink", "soft", "line", "accent", "up"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export let palette = colours();

export function canvasOf(id, height) {
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

// A canvas is drawn anew where it has another size, or the page other colours.
export function onResize(id, draw) {
  new ResizeObserver(draw).observe($(id).parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    palette = colours();
    draw();
  });
}
