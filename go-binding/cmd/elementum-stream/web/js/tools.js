// Small tools: elements, and how numbers are told.

export const $ = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Text is only set where it changed: screen readers and selections stay calm.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) { n /= 1000; unit++; }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

export const rate = (n) => `${bytes(n)}/s`;

export function mebibytes(n) {
  const mib = n / 1048576;
  return mib >= 100 ? String(Math.round(mib)) : mib.toFixed(1);
}

export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  const pad = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}` : `${Math.floor(s / 60)}:${pad(s % 60)}`;
}

export const percent = (x) => `${(x * 100).toFixed(x > 0 && x < 1 ? 1 : 0)} %`;

export function showError(node, message) {
  node.hidden = !message;
  put(node, message || "");
}

export const baseName = (path) => path.split("/").pop();
