// Results: asked for when the question changes, the question before it given up.

import { announce, loadRun, nameOf, runs, trouble } from "./context.js";
import { card } from "./card.js";
import { el, fill, find } from "./dom.js";
import { showBox } from "./box.js";
import { showFacets } from "./facets.js";
import { t } from "./language.js";
import { ask, isEmpty, keyOf } from "./question.js";
import { change, state } from "./state.js";
import { showWelcome } from "./welcome.js";

const STEP = 24; // hits more
let asked = null; // the question whose hits are shown or awaited
let waiting = null; // AbortController of the question that is under way
let order = []; // rows as they are shown

/** The rows before and after one, in the order of the results. */
export function beside(row) {
  const at = order.indexOf(row);
  return at < 0 ? [null, null] : [order[at - 1] ?? null, order[at + 1] ?? null];
}

export const showsOrder = (rows) => (order = rows);

export function showSearch(now, run) {
  showBox(now, run);
  showFacets(now, run);
  const key = `${document.documentElement.lang} ${run.name} ${now.against} ${keyOf(now)}`;
  if (key === asked) return;
  asked = key;
  look(now, run);
}

async function look(now, run) {
  waiting?.abort();
  const mine = (waiting = new AbortController());
  const results = find("#results");
  results.setAttribute("aria-busy", "true");
  const late = setTimeout(() => results.classList.add("late"), 150);
  try {
    const pages = await Promise.all(pairOf(now, run).map((name) => hitsOf(now, name, mine.signal)));
    if (mine === waiting) draw(now, run, pages);
  } catch (error) {
    if (error.name === "AbortError" || mine !== waiting) return;
    fill(results, trouble(error, () => look(state(), run)));
    announce(error.message);
  } finally {
    clearTimeout(late);
    if (mine === waiting) {
      results.classList.remove("late");
      results.setAttribute("aria-busy", "false");
    }
  }
}

/** The run that is shown, and the one beside it if there is one. */
const pairOf = (now, run) => (now.against && now.against !== run.name ? [run.name, now.against] : [run.name]);

async function hitsOf(now, name, signal) {
  const run = await loadRun(name);
  const first = name === nameOf(now);
  // rows, columns and views of one run mean nothing in another
  const question = first ? now : { ...now, parts: now.parts.filter((part) => part.kind !== "row"), filters: [], where: "", view: null };
  try {
    return { run, first, answer: await ask(question, run, { signal }) };
  } catch (error) {
    if (!isWelcome(question) || error.status !== 400) throw error;
    return { run, first, answer: { hits: [], remarks: [] } }; // nothing was asked, so nothing is amiss
  }
}

const isWelcome = (now) => isEmpty(now) && !now.filters.length && !now.where;

function draw(now, run, pages) {
  const [{ answer }] = pages;
  order = answer.hits.map((hit) => hit.row);
  const welcome = isWelcome(now);
  const lines = pages.map(({ run: of, first, answer: found }) => column(now, of, found, first, pages.length > 1));
  fill(find("#results"),
    welcome ? showWelcome(run, answer.hits.length > 0) : toolbar(now, run, answer),
    pages.length > 1 ? el("div", { class: "against" }, lines) : lines);
  document.dispatchEvent(new CustomEvent("order"));
  if (!welcome) announce(answer.hits.length ? t("count", { n: answer.hits.length }) : t("none.title"));
}

function column(now, run, answer, first, several) {
  const { hits } = answer;
  return el("div", { class: "column" },
    several && el("h2", { class: "of-run", text: run.title }),
    answer.remarks.map(remark),
    hits.length ? grid(hits, several && !first ? run.name : null) : !answer.remarks.length && !isWelcome(now) && nothing(now),
    !several && hits.length >= now.k && now.k < run.limits.k && moreButton(now, run));
}

export function grid(hits, run = null) {
  return el("ol", { class: "grid" }, hits.map((hit) => card(hit, { run })));
}

function remark(sentence) {
  const nothingFits = sentence.startsWith("nothing here fits");
  return el("div", { class: nothingFits ? "remark none" : "remark", role: "note" },
    nothingFits && el("strong", { text: t("nothing.fits") }), el("span", { lang: "en", text: sentence }));
}

/** No row passes: what was narrowed can be widened. */
function nothing(now) {
  const clear = () => change({ filters: [], where: "" });
  const narrowed = now.filters.length || now.where;
  return el("div", { class: "trouble" }, el("h2", { text: t("none.title") }),
    el("p", { text: t(narrowed ? "none.filters" : "none.text") }),
    narrowed && el("button", { type: "button", text: t("filters.clear"), on: { click: clear } }));
}

function moreButton(now, run) {
  const more = () => change({ k: Math.min(now.k + STEP, run.limits.k) }, { push: false });
  return el("p", { class: "more" }, el("button", { type: "button", text: t("more"), on: { click: more } }));
}

function toolbar(now, run, answer) {
  const passing = answer.passing !== undefined && answer.passing < run.rows ? t("passing", { n: answer.passing, rows: run.rows }) : null;
  const counted = [t("count", { n: answer.hits.length }), passing, answer.took_ms !== undefined && t("took", { ms: Math.round(answer.took_ms) })];
  return el("div", { class: "toolbar" },
    el("p", { text: counted.filter(Boolean).join(" · ") }),
    choice("view", t("within"), now.view, [[null, t("within.rows")], ...run.views.map((view) => [view.name, view.name])]),
    runs().length > 1 && choice("against", t("against"), now.against,
      [[null, t("against.none")], ...runs().filter((each) => each.name !== run.name).map((each) => [each.name, each.title])]));
}

function choice(name, label, value, options) {
  const pick = (event) => change({ [name]: event.target.value || null });
  const select = el("select", { on: { change: pick }, id: `choose-${name}` }, options.map(([key, text]) => el("option", { value: key ?? "", text })));
  select.value = value ?? "";
  return el("label", {}, el("span", { text: label }), select);
}
