// Before anything is asked: what can be done here, with questions that really work.

import { el } from "./dom.js";
import { t } from "./language.js";
import { change } from "./state.js";

/** @param some whether rows stand below. */
export function showWelcome(run, some) {
  const kinds = new Set(run.views.map((view) => view.kind));
  const ways = ["text", "image", "audio"].filter((kind) => kinds.has(kind)).map((kind) => t(kind === "text" ? "welcome.words" : `welcome.${kind}`));
  const examples = run.examples.map((text) =>
    el("button", { type: "button", class: "chip example", text, on: { click: () => change({ q: text }) } }));
  return el("div", { class: "welcome" },
    el("h2", { text: t("welcome.title", { n: run.rows, title: run.title }) }),
    el("p", { text: t("welcome.text", { ways: ways.join(t("or")) }) }),
    examples.length > 0 && el("div", { class: "examples" }, el("span", { text: t("welcome.try") }), examples),
    run.summary && el("p", { class: "summary", lang: "en", text: run.summary }),
    some && el("h3", { text: t("welcome.some") }));
}
