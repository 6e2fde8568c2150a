// Rows of the table as the server describes them, each fetched once; those wanted at the same time, in one call.

import { get } from "./api.js";

const MOST = 200; // rows a call
const held = new Map(); // "run row" -> promise of an item
const waiting = new Map(); // run -> row -> {resolve, reject}

/** One row; a promise. */
export function itemOf(run, row) {
  const key = `${run} ${row}`;
  if (!held.has(key)) {
    const promise = new Promise((resolve, reject) => wait(run, row, { resolve, reject }));
    promise.catch(() => held.delete(key)); // the next one who wants it tries again
    held.set(key, promise);
  }
  return held.get(key);
}

export const itemsOf = async (run, rows) => (await get("/items", { run, rows: rows.slice(0, MOST).join(",") })).items;

function wait(run, row, promise) {
  if (!waiting.has(run)) {
    waiting.set(run, new Map());
    setTimeout(() => fetchWaiting(run), 20);
  }
  waiting.get(run).set(row, promise);
}

async function fetchWaiting(run) {
  const wanted = waiting.get(run);
  waiting.delete(run);
  try {
    const items = new Map((await itemsOf(run, [...wanted.keys()])).map((item) => [item.row, item]));
    for (const [row, { resolve, reject }] of wanted)
      items.has(row) ? resolve(items.get(row)) : reject(new Error(`no row ${row}`));
  } catch (error) {
    for (const { reject } of wanted.values()) reject(error);
  }
}
