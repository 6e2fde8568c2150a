// What the colours of the map mean. A value that is clicked stands out.

import { el } from "./dom.js";
import { number, shown, t } from "./language.js";
import { hexOf, scaleColours } from "./palette.js";

export function legendOf(legend, codes, only, choose) {
  if (legend.kind === "range") return range(legend);
  const counts = new Uint32Array(256);
  for (const code of codes) counts[code]++;
  const entry = (value, code) => {
    const dot = el("span", { class: "dot", "aria-hidden": "true" });
    dot.style.background = code === 255 ? "var(--faint)" : hexOf(code);
    return el("li", {}, el("button", { type: "button", class: "quiet", "aria-pressed": String(code === only), on: { click: () => choose(code === only ? null : code) } },
      dot, el("span", { class: "value", dir: "auto", text: value }), el("span", { class: "count", text: number(counts[code], true) })));
  };
  return el("ul", { class: "legend" }, legend.values.map((value, code) => counts[code] > 0 && entry(shown(value), code)), counts[255] > 0 && entry(t("other"), 255));
}

function range(legend) {
  const bar = el("span", { class: "scale", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(to right, ${scaleColours.join(", ")})`;
  return el("div", { class: "legend-range" }, bar, el("p", {}, el("span", { text: number(legend.low) }), el("span", { text: number(legend.high) })));
}
