// A row's own page: all its views and columns, what the model predicts and why, and its nearest neighbours.

import { get } from "./api.js";
import { cell } from "./cell.js";
import { announce, nameOf, trouble } from "./context.js";
import { el, fill, find, icon } from "./dom.js";
import { language, shown, t } from "./language.js";
import { explained, predicted } from "./predicted.js";
import { beside, grid } from "./search.js";
import { change, state } from "./state.js";

const dialog = find("#row");
let open = null; // what the dialog shows

export function showRow(now, run) {
  if (now.row === null) {
    open = null;
    if (dialog.open) dialog.close();
    return;
  }
  const key = `${language()} ${run.name} ${now.row}`;
  if (key === open) return;
  open = key;
  if (!dialog.open) dialog.showModal();
  load(key, now.row, run);
}

const close = () => change({ row: null });
dialog.addEventListener("close", () => state().row !== null && close());
dialog.addEventListener("click", (event) => event.target === dialog && close()); // beside the page of the row
dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("audio, video, input, select, textarea")) return;
  const [before, after] = beside(state().row);
  if (event.key === "ArrowLeft" && before !== null) change({ row: before }, { push: false });
  if (event.key === "ArrowRight" && after !== null) change({ row: after }, { push: false });
});

document.addEventListener("order", () => dialog.open && find("#row-title") && find(".bar-top").replaceWith(bar(state().row, find("#row-title").textContent)));

async function load(key, row, run) {
  const inside = dialog.contains(document.activeElement) ? document.activeElement.id : null;
  dialog.setAttribute("aria-busy", "true");
  try {
    const { item, neighbours } = await get(`/items/${row}`, { run: run.name });
    if (key !== open) return;
    fill(dialog, bar(row, item.title), body(item, neighbours, run));
    announce(item.title);
  } catch (error) {
    if (key !== open) return;
    fill(dialog, bar(row, t("row", { row: String(row) })), trouble(error, () => load(key, row, run)));
  }
  dialog.setAttribute("aria-busy", "false");
  dialog.scrollTop = 0;
  (find(`#${inside ?? "row-close"}:not([disabled])`) ?? find("#row-close")).focus();
}

function bar(row, title) {
  const [before, after] = beside(row);
  const step = (id, name, to) =>
    el("button", { type: "button", id, class: "quiet", disabled: to === null, title: t(id), "aria-label": t(id),
      on: { click: () => change({ row: to }, { push: false }) } }, icon(name));
  return el("div", { class: "bar-top" }, el("h2", { id: "row-title", dir: "auto", text: title }),
    step("row-before", "left", before), step("row-after", "right", after),
    el("button", { type: "button", id: "row-close", class: "quiet", title: t("close"), "aria-label": t("close"), on: { click: close } }, icon("close")));
}

function body(item, neighbours, run) {
  const views = run.views.map(({ name }) => [name, cell(item.views[name], name, item.title, { large: true })]);
  const large = views.filter(([, node]) => node && node.matches("img, video"));
  const other = views.filter(([, node]) => node && !node.matches("img, video"));
  const missing = views.filter(([, node]) => !node).map(([name]) => name);
  const figures = (list) => list.map(([name, node]) => el("figure", { data: { view: name } }, node, el("figcaption", { text: name })));
  return el("div", { class: "row-body" },
    el("div", { class: "row-media" }, figures(large), figures(other), missing.length > 0 && el("p", { class: "hint", text: t("views.missing", { views: missing.join(", ") }) })),
    el("div", { class: "row-facts" },
      asks(item), run.abilities.predict && prediction(item, run), columns(item)),
    neighbours.length > 0 && el("section", { class: "row-near" }, el("h3", { text: t("neighbours") }), grid(neighbours)));
}

function asks(item) {
  const ask = (sign) => () =>
    change({ tab: "search", row: null, lasso: null, ...(sign > 0 ? { q: "", parts: [] } : {}),
      ...{ parts: [...(sign > 0 ? [] : state().parts), { kind: "row", sign, row: item.row }] } });
  const link = () => navigator.clipboard?.writeText(location.href).then(() => announce(t("copied")));
  return el("p", { class: "actions" },
    el("button", { type: "button", class: "main", on: { click: ask(1) } }, icon("alike"), el("span", { text: t("alike") })),
    el("button", { type: "button", text: t("unlike"), on: { click: ask(-1) } }),
    el("button", { type: "button", text: t("copy"), on: { click: link } }));
}

function columns(item) {
  const pairs = Object.entries(item.columns).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const rows = [[t("row.number"), String(item.row)], ...pairs.map(([name, value]) => [name, shown(value)])];
  return el("section", {}, el("h3", { text: t("columns") }),
    el("dl", {}, rows.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { dir: "auto", text: value })))));
}

/** What the model predicts, and why once that is wanted, since it takes a while. */
function prediction(item, run) {
  const section = el("section", { "aria-busy": "true" }, el("h3", { text: t("predicted") }), el("p", { class: "hint", text: t("loading") }));
  const load = async () => {
    try {
      const { predictions } = await get(`/items/${item.row}/predict`, { run: run.name });
      const why = run.abilities.explain && ((label) => get(`/items/${item.row}/explain`, { run: run.name, label }));
      fill(section, el("h3", { text: t("predicted") }), predictions.map((each) => predicted(each, why && (() => explained(why(each.label), item.views)))));
    } catch (error) {
      fill(section, el("h3", { text: t("predicted") }), trouble(error, load));
    }
    section.setAttribute("aria-busy", "false");
  };
  load();
  return section;
}
