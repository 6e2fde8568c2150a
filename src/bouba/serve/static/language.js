// Which language the page speaks: chosen before, else the browser's, else English.

import { WORDS } from "./words.js";
import { keep, kept } from "./kept.js";

export const LANGUAGES = Object.keys(WORDS);

export function language() {
  const wanted = [kept("language"), ...navigator.languages];
  for (const name of wanted) {
    const base = (name ?? "").split("-")[0];
    if (base in WORDS) return base;
  }
  return "en";
}

export function choose(name) {
  keep("language", name);
  apply();
}

/** A sentence; {name} in it becomes values.name, numbers written as the language writes them.
 *  Where `values.n` is 1 and there is a sentence KEY.one, that one. */
export function t(key, values = {}) {
  const words = WORDS[language()];
  const sentence = (values.n === 1 && words[`${key}.one`]) || words[key];
  if (sentence === undefined) throw new Error(`no words for ${key}`);
  return sentence.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name], true) : shown(values[name])));
}

/** A value for people: numbers as the language writes them, all else as text. */
export function shown(value) {
  if (typeof value === "number") return number(value);
  if (value === null || value === undefined) return t("missing");
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  return String(value);
}

/** A number; `counted` ones, unlike years, are written in groups of three. */
export function number(value, counted = false) {
  const size = Math.abs(value);
  const digits = Number.isInteger(value) ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return new Intl.NumberFormat(language(), { maximumFractionDigits: digits, useGrouping: counted || size >= 10000 }).format(value);
}

export const percent = (share) =>
  new Intl.NumberFormat(language(), { style: "percent", maximumFractionDigits: share < 0.01 ? 1 : 0 }).format(share);

/** Fills all that is marked with data-t (text), data-t-label (aria-label and title) or data-t-placeholder. */
export function apply(within = document) {
  document.documentElement.lang = language() === "zh" ? "zh-Hans" : language();
  for (const node of within.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of within.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
    if (node.matches("button, label, a")) node.title = t(node.dataset.tLabel);
  }
  for (const node of within.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}
