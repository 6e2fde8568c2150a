// Predict and translate: a person fills in some views, and gets the label or the view that is missing.

import { post } from "./api.js";
import { cell } from "./cell.js";
import { announce, trouble } from "./context.js";
import { el, fill, find, icon } from "./dom.js";
import { ACCEPT, sendable } from "./files.js";
import { language, t } from "./language.js";
import { explained, predicted } from "./predicted.js";
import { record } from "./sound.js";

const drawn = {}; // tab -> what its form was made for

export function showMaking(tab, run) {
  const key = `${language()} ${run.name}`;
  if (drawn[tab] === key) return;
  drawn[tab] = key;
  const views = tab === "translate" ? run.views.filter((view) => view.name === run.translates.from) : run.views;
  const inputs = views.map((view) => input(view, run, tab));
  const answer = el("section", { class: "answer", "aria-live": "polite" });
  const form = el("form", { class: "making" },
    el("h2", { text: t(`tab.${tab}`) }),
    el("p", { class: "hint", text: tab === "predict" ? t("predict.text", { labels: run.labels.map((label) => label.name).join(", ") }) : t("translate.text", run.translates) }),
    inputs.map((each) => each.node),
    el("p", { class: "actions" }, el("button", { class: "main", text: t(`${tab}.do`) })));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    make(tab, run, inputs, answer);
  });
  fill(find(`#${tab}`), el("div", { class: "two" }, form, answer));
}

async function make(tab, run, inputs, answer) {
  const cells = {};
  const files = [];
  const views = {}; // what was given, to be shown beneath overlays
  for (const { view, value } of inputs) {
    const given = value();
    if (given === null) continue;
    cells[view.name] = given instanceof File ? { file: `f${files.push(given) - 1}` } : given;
    if (given instanceof File) views[view.name] = { kind: view.kind, data: URL.createObjectURL(given) };
  }
  if (!Object.keys(cells).length) return fill(answer, el("p", { class: "hint bad", text: t("making.empty") }));
  answer.setAttribute("aria-busy", "true");
  fill(answer, el("p", { class: "hint", text: t("loading") }));
  try {
    const query = { run: run.name };
    const made = await post(`/${tab}`, query, "cells", cells, files);
    const why = run.abilities.explain && ((label) => explained(post("/explain", { ...query, label }, "cells", cells, files), views));
    fill(answer, tab === "predict" ? made.predictions.map((each) => predicted(each, why && (() => why(each.label)))) : translated(made.views));
    announce(t("made"));
  } catch (error) {
    fill(answer, trouble(error, () => make(tab, run, inputs, answer)));
  }
  answer.setAttribute("aria-busy", "false");
}

function translated(views) {
  return Object.entries(views).map(([name, view]) => el("figure", { data: { view: name } }, cell(view, name, t("made.view", { view: name }), { large: true }), el("figcaption", { text: name })));
}

/** A field for a view: `value()` is what it holds, null for nothing. */
function input(view, run, tab) {
  const id = `${tab}-${view.name}`;
  if (view.kind in ACCEPT) return fileInput(view, run, id);
  const area = el("textarea", { id, rows: view.kind === "text" ? 2 : 1, dir: "auto", placeholder: t(view.kind === "text" ? "words.here" : "numbers.here") });
  const value = () => (area.value.trim() ? (view.kind === "vector" ? area.value.split(/[\s,;]+/).filter(Boolean).map(Number) : area.value.trim()) : null);
  return { view, value, node: el("div", { class: "made-field" }, el("label", { for: id, text: view.name }), area) };
}

function fileInput(view, run, id) {
  let file = null;
  const seen = el("div", { class: "given" });
  const take = async (chosen) => {
    file = null;
    try {
      file = chosen ? await sendable(chosen, run) : null;
      fill(seen, file && cell({ kind: view.kind, data: URL.createObjectURL(file) }, view.name, file.name, { large: true }));
    } catch (error) {
      fill(seen, el("p", { class: "hint bad", text: error.message }));
    }
  };
  const choose = el("input", { type: "file", id, accept: ACCEPT[view.kind], on: { change: () => take(choose.files[0]) } });
  const node = el("div", { class: "made-field" }, el("label", { for: id, text: view.name }), choose, view.kind === "audio" && recordButton(take), seen);
  node.addEventListener("dragover", (event) => event.preventDefault());
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  return { view, value: () => file, node };
}

function recordButton(take) {
  let stop = null;
  const button = el("button", { type: "button" }, icon("record"), el("span", { text: t("record") }));
  button.addEventListener("click", async () => {
    try {
      if (stop) await take(await stop());
      stop = stop ? null : await record();
    } catch {
      stop = null;
    }
    button.lastChild.textContent = t(stop ? "record.stop" : "record");
  });
  return button;
}
