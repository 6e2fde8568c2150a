// Light, dark, or as the machine is set.

import { keep, kept } from "./kept.js";

const THEMES = ["auto", "light", "dark"];

export function theme() {
  const name = kept("theme");
  return THEMES.includes(name) ? name : "auto";
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  keep("theme", next);
  applyTheme();
  document.dispatchEvent(new CustomEvent("theme"));
}

/** A colour of the style sheet, as red, green, blue from 0 to 255; for what is painted rather than styled. */
export function colourOf(name) {
  const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hex = value.slice(1);
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
