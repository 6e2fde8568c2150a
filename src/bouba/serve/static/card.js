// A hit in the grid.

import { cell } from "./cell.js";
import { el, icon } from "./dom.js";
import { percent, t } from "./language.js";
import { change, state } from "./state.js";
import { write } from "./address.js";

const SEEN_FIRST = ["image", "video", "audio", "text", "vector", "table"];
const SURE = [[0.6, "sure"], [0.3, "likely"], [0.1, "perhaps"], [0, "guess"]];

/** @param hit as the server describes it. @param run its name where it is not the run that is shown. */
export function card(hit, { run = null } = {}) {
  const views = Object.entries(hit.views).sort(([, a], [, b]) => SEEN_FIRST.indexOf(a?.kind) - SEEN_FIRST.indexOf(b?.kind));
  const media = views.filter(([, view]) => view && ["image", "video", "audio"].includes(view.kind));
  const cells = media.map(([name, view]) => cell(view, name, hit.title)).filter(Boolean);
  const seen = cells.filter((node) => node.tagName !== "AUDIO").slice(0, 1);
  const heard = cells.filter((node) => node.tagName === "AUDIO").slice(0, 1);
  const here = { ...state(), row: hit.row, ...(run ? { run } : {}) };
  const open = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return; // a window of its own
    event.preventDefault();
    change({ row: hit.row, ...(run ? { run, against: null } : {}) });
  };
  const link = el("a", { class: "open", href: write(here), on: { click: open }, data: { row: hit.row } },
    el("span", { class: "frame" }, seen.length ? seen : placeholder(views)),
    el("span", { class: "title", dir: "auto", text: hit.title }));
  const more = captions(views, hit.title);
  return el("li", { class: "card" }, link, heard, more, el("div", { class: "foot" }, confidence(hit), tools(hit, run)));
}

/** What stands where a picture would: the text, or the first letters of a row without any. */
function placeholder(views) {
  const text = views.find(([, view]) => view?.kind === "text" && view.text);
  if (text) return el("span", { class: "quote", dir: "auto", text: text[1].text });
  const numbers = views.find(([, view]) => view?.numbers);
  return numbers ? cell(numbers[1], numbers[0], "") : icon("sound");
}

/** Other texts than the title, at most two. */
function captions(views, title) {
  const texts = views.map(([, view]) => (view?.kind === "text" ? view.text : null)).filter((text) => text && text !== title);
  return [...new Set(texts)].slice(0, 2).map((text) => el("p", { class: "caption", dir: "auto", text }));
}

/** How sure the model is, in words and as a thin bar; and by which way the row was found. */
export function confidence(hit) {
  const way = hit.way ? el("span", { class: "way", text: wayOf(hit.way), title: t("way.title") }) : null;
  if (hit.confidence === null || hit.confidence === undefined) return el("div", { class: "sure" }, el("p", {}, way));
  const word = t(`sure.${SURE.find(([least]) => hit.confidence >= least)[1]}`);
  const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("span"));
  bar.firstChild.style.width = `${100 * Math.max(0.02, hit.confidence)}%`;
  const text = el("span", { text: `${word} · ${percent(hit.confidence)}`, title: t("sure.title") });
  return el("div", { class: "sure" }, el("p", {}, text, way), bar);
}

const WAYS = ["direct", "letters", "meaning"];
const wayOf = (way) => (WAYS.includes(way) ? t(`way.${way}`) : way);

function tools(hit, run) {
  if (run) return null; // a row of another run means nothing in this one
  const ask = () => change({ tab: "search", q: "", parts: [{ kind: "row", sign: 1, row: hit.row }], row: null, k: 24, lasso: null });
  return el("button", { type: "button", class: "quiet small", title: t("alike"), "aria-label": t("alike.of", { title: hit.title }), on: { click: ask } }, icon("alike"));
}
