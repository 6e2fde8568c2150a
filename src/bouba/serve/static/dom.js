// Elements without markup: text is always text, so no caption can become a tag.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `attributes` may hold `text`, `on` (event -> listener), `data` (dataset) and any attribute;
 *  null, undefined and false leave an attribute out. Children that are null or false are left out, too. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...present(children));
  return node;
}

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** Replaces what an element holds. */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

export const find = (selector, within = document) => within.querySelector(selector);

/** Strokes on a square of 24, as in many icon sets. */
const STROKES = {
  picture: ["M4 5h16v14H4z", "M4 16l5-5 4 4 3-3 4 4", "M9 9.5h.01"],
  sound: ["M4 10v4h4l5 4V6l-5 4z", "M16.5 9a4 4 0 0 1 0 6", "M19 6.5a8 8 0 0 1 0 11"],
  record: ["M12 4a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V7a3 3 0 0 1 3-3z", "M6 12a6 6 0 0 0 12 0", "M12 18v3"],
  search: ["M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12z", "M15.5 15.5L20 20"],
  plus: ["M12 5v14", "M5 12h14"],
  minus: ["M5 12h14"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  left: ["M15 5l-7 7 7 7"],
  right: ["M9 5l7 7-7 7"],
  alike: ["M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4z", "M15 10a5 5 0 1 1-5 5"],
  reset: ["M4 12a8 8 0 1 0 3-6.2", "M4 4v4.5h4.5"],
  lasso: ["M12 5c5 0 8 2 8 5s-3 5-8 5-8-2-8-5 3-5 8-5z", "M8 15c-1 2 1 3 0 5"],
  hand: ["M12 4v16", "M4 12h16", "M9 7l3-3 3 3", "M9 17l3 3 3-3", "M7 9l-3 3 3 3", "M17 9l3 3-3 3"],
  filter: ["M4 6h16", "M7 12h10", "M10 18h4"],
  theme: ["M12 4a8 8 0 1 0 0 16z", "M12 4a8 8 0 0 1 0 16"],
};

/** A small drawing beside or instead of a word; screen readers pass over it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }))
    svg.setAttribute(key, value);
  for (const d of STROKES[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}
