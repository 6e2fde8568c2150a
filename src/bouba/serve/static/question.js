// From the state to what the server is asked: plain words by GET, all else by POST.

import { get, post } from "./api.js";
import { fileOf } from "./state.js";

/** Whether there is anything to look for. */
export const isEmpty = (state) => !state.q.trim() && !state.parts.length;

/** What a question depends on: two states with the same key have the same hits. */
export function keyOf(state) {
  const { q, parts, filters, where, view, k } = state;
  return JSON.stringify([q.trim(), parts, filters, where, view, k]);
}

export function ask(state, run, options) {
  const narrowed = { k: Math.min(state.k, run.limits.k), where: state.where, view: state.view };
  if (!state.parts.length) {
    const filters = state.filters.length ? JSON.stringify(state.filters) : null;
    return get("/search", { run: run.name, q: state.q.trim(), ...narrowed, filters }, options);
  }
  const files = [];
  const parts = state.parts.map((part) => {
    if (part.kind === "file") return { file: `f${files.push(fileOf(part)) - 1}`, sign: part.sign };
    return part.kind === "text" ? { text: part.text, sign: part.sign } : { row: part.row, sign: part.sign };
  });
  if (state.q.trim()) parts.push({ text: state.q.trim(), sign: 1 });
  const content = { parts, filters: state.filters, ...Object.fromEntries(Object.entries(narrowed).filter(([, v]) => v)) };
  return post("/search", { run: run.name }, "query", content, files, options);
}
