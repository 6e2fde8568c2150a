// Filters made of the table's columns: values with counts, ranges with two ends.

import { get } from "./api.js";
import { el, fill, find, icon } from "./dom.js";
import { language, number, shown, t } from "./language.js";
import { change, state } from "./state.js";

const FIRST = 8; // values of a column before "more"
const OPEN = 3; // columns that are open at first
let drawn = null; // what the filters on the page were counted for
const unfolded = new Set(); // columns whose values are all shown
const toggled = new Map(); // column -> whether the person opened it

export async function showFacets(now, run) {
  const key = `${language()} ${run.name} ${now.where} ${JSON.stringify(now.filters)}`;
  if (key === drawn) return;
  drawn = key;
  const query = { run: run.name, where: now.where, filters: now.filters.length ? JSON.stringify(now.filters) : null };
  try {
    const { columns } = await get("/facets", query);
    if (key === drawn) draw(columns);
  } catch {
    if (key === drawn) drawn = null; // results say what is wrong with a filter
  }
}

function draw(columns) {
  const aside = find("#facets");
  aside.hidden = !columns.length;
  const { filters, where } = state();
  const narrowed = filters.length || where;
  const focused = document.activeElement?.id;
  const wide = matchMedia("(min-width: 800px)").matches;
  const clear = el("button", { type: "button", class: "quiet small", text: t("filters.clear"), on: { click: () => change({ filters: [], where: "" }) } });
  const before = find("#facets details");
  fill(aside, el("details", { class: "all", open: before ? before.open : wide },
    el("summary", {}, icon("filter"), el("span", { text: t("filters") }), narrowed ? el("span", { class: "dot", text: String(filters.length || 1) }) : null),
    where && el("p", { class: "where", text: where }),
    narrowed ? clear : null,
    columns.map((column, place) => facet(column, place))));
  if (focused) document.getElementById(focused)?.focus();
}

function facet(column, place) {
  const filter = state().filters.find((each) => each.column === column.name);
  const open = toggled.get(column.name) ?? (place < OPEN || Boolean(filter));
  const details = el("details", { class: "facet", open }, el("summary", { text: column.name }),
    column.kind === "values" ? values(column, filter) : range(column, filter));
  details.addEventListener("toggle", () => toggled.set(column.name, details.open));
  return details;
}

function values(column, filter) {
  const chosen = filter?.any ?? [];
  const counted = column.values;
  const gone = chosen.filter((value) => !counted.some((each) => each.value === value)).map((value) => ({ value, count: 0 }));
  const all = [...gone, ...counted];
  const seen = unfolded.has(column.name) ? all : all.filter(({ value }, i) => i < FIRST || chosen.includes(value));
  const list = seen.map(({ value, count }) => {
    const box = el("input", { type: "checkbox", id: idOf(column.name, value), on: { change: (event) => toggle(column.name, value, event.target.checked) } });
    box.checked = chosen.includes(value);
    return el("li", {}, el("label", {}, box, el("span", { class: "value", dir: "auto", text: shown(value) }), el("span", { class: "count", text: number(count, true) })));
  });
  const unfold = () => {
    unfolded.add(column.name);
    drawn = null;
    change({}, { push: false });
  };
  const rest = all.length - seen.length;
  return [el("ul", {}, list), rest > 0 && el("button", { type: "button", class: "quiet small", text: t("facet.more", { n: rest }), on: { click: unfold } })];
}

const idOf = (column, value) => `only-${column}-${JSON.stringify(value)}`;

function toggle(column, value, on) {
  const filters = state().filters.filter((each) => each.column !== column);
  const before = state().filters.find((each) => each.column === column)?.any ?? [];
  const any = on ? [...before, value] : before.filter((each) => each !== value);
  change({ filters: any.length ? [...filters, { column, any }] : filters, k: 24 });
}

/** Bars of how many rows there are, and two ends to type. */
function range(column, filter) {
  const most = Math.max(...column.counts, 1);
  const bars = el("div", { class: "bars", "aria-hidden": "true" }, column.counts.map((count, i) => {
    const inside = column.edges[i + 1] >= (filter?.low ?? column.low) && column.edges[i] <= (filter?.high ?? column.high);
    const bar = el("span", { class: inside ? "in" : null });
    bar.style.height = `${(100 * count) / most}%`;
    return bar;
  }));
  const end = (name, limit) => {
    const input = el("input", { type: "number", step: "any", id: `${name}-${column.name}`, placeholder: number(limit),
      "aria-label": `${column.name}: ${t(name === "low" ? "at.least" : "at.most")}`, on: { change: (event) => narrow(column.name, name, event.target.value) } });
    input.value = filter?.[name] ?? "";
    return input;
  };
  return el("div", { class: "range" }, bars, el("div", { class: "ends" }, end("low", column.low), el("span", { text: "–" }), end("high", column.high)));
}

function narrow(column, name, text) {
  const filters = state().filters.filter((each) => each.column !== column);
  const before = state().filters.find((each) => each.column === column) ?? { column };
  const filter = { ...before, [name]: text === "" ? null : Number(text) };
  const bounded = (filter.low ?? null) !== null || (filter.high ?? null) !== null;
  change({ filters: bounded ? [...filters, filter] : filters, k: 24 });
}
