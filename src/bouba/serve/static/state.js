// What the page shows, as the address says it. Whoever opens the same address sees the same, but for files in the
// question: these stay in this window.

import { read, write } from "./address.js";

const listeners = [];
const files = new Map(); // number -> File, for as long as the window is open
let current = null;
let nextFile = 1;

export const state = () => current;

export function onChange(listener) {
  listeners.push(listener);
}

/** Changes the state and tells all listeners. `push` makes a step that the back button undoes. */
export function change(changes, { push = true } = {}) {
  const before = current;
  current = { ...current, ...changes };
  const address = write(current);
  const numbers = current.parts.filter((part) => part.kind === "file").map((part) => [part.file, part.sign]);
  const moved = address !== location.search || String(numbers) !== String(history.state?.files ?? []);
  if (moved) history[push ? "pushState" : "replaceState"]({ files: numbers }, "", address || location.pathname);
  tell(before);
}

export function addFile(file) {
  files.set(nextFile, file);
  return nextFile++;
}

export const fileOf = (part) => files.get(part.file);

/** Reads the address, now and whenever the person goes back or forth. */
export function start() {
  current = fromAddress();
  addEventListener("popstate", () => {
    const before = current;
    current = fromAddress();
    tell(before);
  });
}

function fromAddress() {
  const state = read(location.search);
  const kept = (history.state?.files ?? []).filter(([number]) => files.has(number));
  return { ...state, parts: [...state.parts, ...kept.map(([file, sign]) => ({ kind: "file", file, sign }))] };
}

function tell(before) {
  for (const listener of listeners) listener(current, before);
}
