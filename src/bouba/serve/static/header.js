// The bar on top: which run, which tab, language, theme.

import { nameOf, runs } from "./context.js";
import { el, fill, find, icon } from "./dom.js";
import { LANGUAGES, choose, language, number, t } from "./language.js";
import { change, state } from "./state.js";
import { nextTheme, theme } from "./theme.js";

const OWN_NAMES = { en: "English", zh: "中文" };

export function showHeader(now, run, tabs, tab) {
  const choice = find("#run");
  fill(choice, runs().map((each) => el("option", { value: each.name, text: `${each.title} · ${number(each.rows, true)}` })));
  choice.value = nameOf(now);
  choice.parentElement.hidden = runs().length < 2;
  fill(find("#tabs"), tabs.length > 1 && tabs.map((each) => tabButton(each, each === tab)));
  const report = find("#report");
  report.hidden = !run.report;
  if (run.report) report.href = run.report;
  showTools();
}

function tabButton(name, current) {
  const open = () => change({ tab: name, row: null });
  return el("button", { type: "button", text: t(`tab.${name}`), "aria-current": current && "page", on: { click: open } });
}

function showTools() {
  const choice = find("#language");
  fill(choice, LANGUAGES.map((name) => el("option", { value: name, text: OWN_NAMES[name], lang: name })));
  choice.value = language();
  const button = fill(find("#theme"), icon("theme"));
  button.title = t(`theme.${theme()}`);
  button.setAttribute("aria-label", t(`theme.${theme()}`));
}

find("#run").addEventListener("change", (event) =>
  change({ run: event.target.value, row: null, filters: [], view: null, against: null, colour: null, lasso: null,
    parts: state().parts.filter((part) => part.kind !== "row") }));
find("#language").addEventListener("change", (event) => {
  choose(event.target.value);
  document.dispatchEvent(new CustomEvent("language"));
});
find("#theme").addEventListener("click", () => {
  nextTheme();
  showTools();
});
find("#home").addEventListener("click", (event) => {
  event.preventDefault();
  change({ tab: "search", q: "", parts: [], filters: [], where: "", view: null, k: 24, row: null, lasso: null });
});
