// What the server says of the run that is shown, and where sentences for everyone go.

import { get } from "./api.js";
import { el, find, fill } from "./dom.js";
import { t } from "./language.js";

const described = new Map();
let all = [];

/** The runs of this server. */
export const runs = () => all;

/** Names the runs that the server has. */
export async function loadRuns() {
  all = (await get("/runs")).runs;
  return all;
}

export const nameOf = (state) => state.run ?? all[0]?.name;

/** The description of a run, loaded once. */
export function runOf(state) {
  return described.get(nameOf(state));
}

export async function loadRun(name) {
  if (!described.has(name)) described.set(name, await get("/run", { run: name }));
  return described.get(name);
}

/** What a screen reader says next. */
export function announce(sentence) {
  find("#live").textContent = sentence;
}

/** A sentence above everything, with what can be done; nothing takes it away. */
export function notice(sentence, ...actions) {
  if (sentence === null) fill(find("#notice"));
  else fill(find("#notice"), el("p", { class: "notice" }, el("span", { text: sentence }), actions));
}

/** What went wrong, with a remedy, as an element. `again` runs the call once more. */
export function trouble(error, again) {
  const retry = el("button", { type: "button", text: t("again"), on: { click: again } });
  if (error.status === 0) return box("trouble.offline", t("trouble.offline.text"), retry);
  if (error.status === 429) return busy(error, again);
  if (error.status === 401 || error.status === 403) return box("trouble.token", error.message, tokenButton());
  if (error.status >= 500) return box("trouble.server", error.message, retry);
  return box("trouble.refused", error.message);
}

function tokenButton() {
  const open = () => document.dispatchEvent(new CustomEvent("token"));
  return el("button", { type: "button", text: t("token.enter"), on: { click: open } });
}

/** Too many questions at once: tries again by itself, when the server says. */
function busy(error, again) {
  const seconds = Math.min(error.retryAfter ?? 2, 60);
  const node = box("trouble.busy", t("trouble.busy.text", { n: seconds }));
  setTimeout(() => node.isConnected && again(), seconds * 1000);
  return node;
}

function box(title, text, ...actions) {
  return el("div", { class: "trouble", role: "alert" }, el("h2", { text: t(title) }), el("p", { text }), actions);
}
