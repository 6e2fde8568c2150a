// The one box: words, pictures, sounds and rows, each with + or -.

import { announce, nameOf, runOf } from "./context.js";
import { el, fill, find, icon } from "./dom.js";
import { ACCEPT, sendable } from "./files.js";
import { itemOf } from "./items.js";
import { apply, language, t } from "./language.js";
import { record } from "./sound.js";
import { addFile, change, fileOf, state } from "./state.js";

const PAUSE = 250; // ms without a key before it searches
const form = find("#box");
let built = null; // what the box was made for
let timer = null;
let typing = false; // whether the last step was made by typing, which the next key goes on with
let stopRecording = null;

/** Makes the box where it must be another, and brings it up to the state. */
export function showBox(now, run) {
  const kinds = new Set(run.views.map((view) => view.kind));
  const wanted = `${language()} ${[...kinds]}`;
  if (wanted !== built) build(kinds);
  built = wanted;
  const input = find("#q");
  if (document.activeElement !== input || !timer) input.value = now.q;
  fill(find("#parts"), now.parts.map(chip));
  find("#parts").hidden = !now.parts.length;
  find("#unshared").hidden = !now.parts.some((part) => part.kind === "file");
}

function build(kinds) {
  const button = (name, label, listener) =>
    el("button", { type: "button", id: name, class: "quiet", title: t(label), "aria-label": t(label), on: { click: listener } }, icon(name));
  const chooser = (kind, name) =>
    el("label", { class: "quiet choose", title: t(`choose.${kind}`) }, icon(name), el("span", { class: "unseen", text: t(`choose.${kind}`) }),
      el("input", { type: "file", id: `choose-${kind}`, class: "unseen", accept: ACCEPT[kind], multiple: true, on: { change: chosen } }));
  const several = kinds.size > 1 ? "box.several" : "box.words";
  fill(form,
    el("div", { class: "field" }, icon("search"),
      el("ul", { id: "parts", hidden: true, "aria-label": t("parts") }),
      el("input", { id: "q", type: "search", enterkeyhint: "search", spellcheck: "false", placeholder: t(several),
        "aria-label": t("box.label"), on: { input: typed, keydown: keyed } }),
      button("plus", "add.plus", () => addWords(1)), button("minus", "add.minus", () => addWords(-1)),
      kinds.has("image") && chooser("image", "picture"),
      kinds.has("audio") && chooser("audio", "sound"),
      kinds.has("audio") && Boolean(navigator.mediaDevices) && button("record", "record", toggleRecording),
      el("button", { class: "main", text: t("search") })),
    el("p", { id: "unshared", class: "hint", hidden: true, text: t("unshared") }),
    el("p", { id: "box-trouble", class: "hint bad", role: "alert" }));
  apply(form);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});

function typed() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    timer = null;
    change({ q: find("#q").value, k: 24, lasso: null }, { push: !typing });
    typing = true;
  }, PAUSE);
}

/** Searches at once, and ends the step. */
function search() {
  clearTimeout(timer);
  timer = null;
  const q = find("#q").value;
  change({ q, k: 24, lasso: null }, { push: !typing && q !== state().q });
  typing = false;
}

function keyed(event) {
  const { parts } = state();
  if (event.key === "Backspace" && !event.target.value && parts.length) without(parts.length - 1);
}

function add(part) {
  typing = false;
  change({ parts: [...state().parts, part], k: 24, lasso: null, row: null });
}

/** The words in the box become a part of their own. */
function addWords(sign) {
  const input = find("#q");
  const text = input.value.trim();
  clearTimeout(timer);
  timer = null;
  if (text) {
    input.value = "";
    change({ q: "", parts: [...state().parts, { kind: "text", sign, text }], k: 24 });
  } else announce(t("add.words"));
  input.focus();
}

const without = (place) => change({ parts: state().parts.filter((_, i) => i !== place) });

/** A part with its sign, which a click turns round. */
function chip(part, place) {
  const turn = () => change({ parts: state().parts.map((each, i) => (i === place ? { ...each, sign: -each.sign } : each)) });
  const sign = part.sign > 0 ? "+" : "−";
  const name = el("span", { class: "name", dir: "auto" });
  const chipNode = el("li", { class: part.sign > 0 ? "chip" : "chip minus" },
    el("button", { type: "button", class: "sign", text: sign, title: t("sign"), "aria-label": t(part.sign > 0 ? "sign.plus" : "sign.minus"), on: { click: turn } }),
    name,
    el("button", { type: "button", class: "remove", title: t("remove"), "aria-label": t("remove"), on: { click: () => without(place) } }, icon("close")));
  nameChip(part, name);
  return chipNode;
}

function nameChip(part, node) {
  if (part.kind === "text") node.textContent = part.text;
  if (part.kind === "file") fill(node, pictureOf(fileOf(part)), el("span", { text: fileOf(part).name }));
  if (part.kind !== "row") return;
  node.textContent = t("like.row", { row: String(part.row) });
  itemOf(nameOf(state()), part.row).then((item) => {
    const thumbnail = Object.values(item.views).find((view) => view?.thumbnail)?.thumbnail;
    fill(node, thumbnail && el("img", { src: thumbnail, alt: "" }), el("span", { text: t("like", { title: item.title }) }));
  }, () => {});
}

function pictureOf(file) {
  if (!file.type.startsWith("image/")) return icon("sound");
  const source = URL.createObjectURL(file);
  return el("img", { src: source, alt: "", on: { load: () => URL.revokeObjectURL(source) } });
}

async function toggleRecording() {
  const button = find("#record");
  try {
    if (stopRecording) {
      const stop = stopRecording;
      stopRecording = null;
      button.classList.remove("recording");
      button.setAttribute("aria-label", t("record"));
      await addFiles([await stop()]);
    } else {
      stopRecording = await record();
      button.classList.add("recording");
      button.setAttribute("aria-label", t("record.stop"));
      announce(t("record.on"));
    }
  } catch {
    stopRecording = null;
    button.classList.remove("recording");
    find("#box-trouble").textContent = t("record.none");
  }
}

async function chosen(event) {
  const files = [...event.target.files];
  event.target.value = "";
  await addFiles(files);
}

/** Files become parts of the question, where the run reads their kind. */
export async function addFiles(files) {
  find("#box-trouble").textContent = "";
  for (const file of files) {
    try {
      add({ kind: "file", sign: 1, file: addFile(await sendable(file, runOf(state()))) });
    } catch (error) {
      find("#box-trouble").textContent = error.message;
    }
  }
}

const takesFiles = () => !find("#search").hidden && !find("dialog[open]");

document.addEventListener("paste", (event) => {
  if (!takesFiles() || !event.clipboardData?.files.length) return;
  event.preventDefault();
  addFiles([...event.clipboardData.files]);
});
document.addEventListener("dragover", (event) => {
  if (!takesFiles() || ![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  form.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  if (!takesFiles()) return;
  event.preventDefault();
  form.classList.remove("dropping");
  if (event.dataTransfer.files.length) addFiles([...event.dataTransfer.files]);
});
