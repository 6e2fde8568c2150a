// One cell of a row: a picture, a player, a text or numbers.

import { el } from "./dom.js";
import { number, shown, t } from "./language.js";

/** An element for a cell; null for one that is missing. `large` shows all of it. */
export function cell(view, name, title, { large = false } = {}) {
  if (!view) return null;
  if (view.kind === "image") return picture(view, title, large);
  if (view.kind === "video") return large || !view.thumbnail ? film(view, name) : picture(view, title, large);
  if (view.kind === "audio") return player(view, name);
  if (view.kind === "text") return view.text ? el("p", { class: "caption", dir: "auto", text: view.text }) : null;
  return view.numbers ? el("p", { class: "numbers", text: numbersOf(view.numbers, large) }) : table(view);
}

function picture(view, title, large) {
  const source = view.data ?? (large ? view.media : (view.thumbnail ?? view.media));
  return source ? el("img", { src: source, alt: title, loading: large ? null : "lazy", decoding: "async" }) : null;
}

function player(view, name) {
  const source = view.data ?? view.media;
  return source ? el("audio", { controls: true, preload: "none", src: source, "aria-label": name }) : null;
}

function film(view, name) {
  const source = view.data ?? view.media;
  return source ? el("video", { controls: true, preload: "none", src: source, "aria-label": name }) : null;
}

function numbersOf(numbers, large) {
  const most = large ? 64 : 4;
  const text = numbers.slice(0, most).map(number).join("  ");
  return numbers.length > most ? `${text} … ${t("numbers", { n: numbers.length })}` : text;
}

/** A cell that is a record, "text" of it, or nothing to show. */
function table(view) {
  if (view.record) return el("p", { class: "numbers", text: Object.entries(view.record).map(([k, v]) => `${k}: ${shown(v)}`).join(", ") });
  return view.text ? el("p", { class: "numbers", text: view.text }) : null;
}
