// The embedding map: pan, zoom, colours, a click to a row, an outline to the rows inside.

import { bytes, get } from "./api.js";
import { Camera } from "./camera.js";
import { announce, trouble } from "./context.js";
import { el, fill, find, icon } from "./dom.js";
import { gestures } from "./gestures.js";
import { itemOf, itemsOf } from "./items.js";
import { language, t } from "./language.js";
import { legendOf } from "./legend.js";
import { palette } from "./palette.js";
import { decoded, inside, nearest } from "./points.js";
import { grid, showsOrder } from "./search.js";
import { Stage } from "./stage.js";
import { change, state } from "./state.js";

const REACH = 12; // pixels from a point that still touch it
const STEP = 48; // rows more
const POLL = 1500; // ms
const NO_COLOUR = "-";

const camera = new Camera();
let at = null; // the map that is shown: {key, run, points, legend, codes, colour, only, lassoing}
let stage = null;
let timer = null;

export function leaveMap() {
  clearTimeout(timer);
}

export async function showMap(now, run) {
  const key = `${language()} ${run.name}`;
  if (at?.key !== key) return load(key, run);
  if (!at.points) return; // still on its way
  await recolour(now);
  outline(now);
}

async function load(key, run) {
  clearTimeout(timer);
  const mine = (at = { key, run, points: null, colour: undefined, only: null, lassoing: false });
  fill(find("#map"), el("p", { class: "hint", text: t("map.loading") }));
  try {
    const answer = await get("/map", { run: run.name });
    if (at !== mine) return;
    if (answer.state !== "ready") return wait(key, run, answer);
    const { buffer } = await bytes("/map/points", { run: run.name });
    if (at !== mine) return;
    at.points = decoded(buffer);
    at.columns = answer.columns;
  } catch (error) {
    if (at === mine) fill(find("#map"), trouble(error, () => load(key, run)));
    return;
  }
  build();
  await recolour(state());
  outline(state());
}

function wait(key, run, answer) {
  if (answer.state === "none") return fill(find("#map"), el("div", { class: "trouble" }, el("h2", { text: t("map.none") }), el("p", { text: t("map.none.text") })));
  const bar = el("progress", { max: 1, value: answer.progress, "aria-label": t("map.computing") });
  fill(find("#map"), el("div", { class: "trouble" }, el("h2", { text: t("map.computing") }), bar));
  timer = setTimeout(() => load(key, run), POLL);
}

function build() {
  const button = (name, label, listener, drawn = name) =>
    el("button", { type: "button", id: `map-${name}`, class: "quiet", title: t(label), "aria-label": t(label), on: { click: listener } }, icon(drawn));
  const zoom = (factor) => () => (camera.closer(factor), moved());
  const colours = el("select", { id: "map-colour", on: { change: (event) => change({ colour: event.target.value }, { push: false }) } },
    [NO_COLOUR, ...at.columns].map((name) => el("option", { value: name, text: name === NO_COLOUR ? t("map.one.colour") : name })));
  const canvas = el("canvas", { id: "map-canvas", "aria-hidden": "true" });
  const frame = el("div", { id: "map-frame", tabindex: 0, role: "application", "aria-label": t("map.label", { n: at.points.n }), "aria-describedby": "map-hint" },
    canvas, outlineNode(), el("p", { id: "map-title", class: "tip", hidden: true }),
    el("div", { class: "map-buttons" }, button("in", "map.in", zoom(1.5), "plus"), button("out", "map.out", zoom(1 / 1.5), "minus"),
      button("reset", "map.reset", () => (camera.reset(), moved())), button("lasso", "map.lasso", () => lassoing(!at.lassoing))));
  fill(find("#map"),
    el("div", { class: "toolbar" }, el("p", { text: t("map.count", { n: at.points.n }) }), el("label", {}, el("span", { text: t("map.colour") }), colours)),
    el("div", { class: "map-columns" }, frame, el("div", { id: "legend" })),
    el("p", { id: "map-hint", class: "hint", text: t("map.hint") }),
    el("section", { id: "map-rows", "aria-label": t("results") }));
  stage = new Stage(canvas, camera);
  stage.load(at.points);
  measure(frame);
  new ResizeObserver(() => measure(frame)).observe(frame);
  gestures(frame, { move: (right, down) => (camera.move(right, down), moved()), closer: (...how) => (camera.closer(...how), moved()), reset: () => (camera.reset(), moved()),
    hover, click, draw, drawn: lassoed, lassoing: () => at.lassoing });
}

function measure(frame) {
  if (!frame.clientWidth || !frame.isConnected) return;
  if (camera.width === frame.clientWidth && camera.height === frame.clientHeight && stage.shot) return;
  [camera.width, camera.height] = [frame.clientWidth, frame.clientHeight];
  moved();
}

function moved() {
  stage.moved();
  placeOutline(state().lasso);
  find("#map-title").hidden = true;
}

async function recolour(now) {
  const wanted = now.colour ?? at.columns[0] ?? NO_COLOUR;
  find("#map-colour").value = wanted;
  if (wanted === at.colour) return;
  at.colour = wanted;
  const mine = at;
  try {
    const answer = wanted === NO_COLOUR ? null : await bytes("/map/colours", { run: at.run.name, column: wanted });
    if (at !== mine || at.colour !== wanted) return;
    at.codes = answer ? new Uint8Array(answer.buffer) : new Uint8Array(at.points.n);
    at.legend = answer && JSON.parse(decodeURIComponent(answer.headers.get("X-Legend")));
    at.only = null;
    paint();
  } catch (error) {
    fill(find("#legend"), trouble(error, () => ((at.colour = undefined), recolour(state()))));
  }
}

function paint() {
  stage.colour(at.codes, palette(at.legend, at.only));
  fill(find("#legend"), at.legend && legendOf(at.legend, at.codes, at.only, (code) => ((at.only = code), paint())));
}
document.addEventListener("theme", () => at?.codes && paint());

const touched = (across, down) => {
  const [x, y] = camera.mapAt(across, down);
  return nearest(at.points, x, y, REACH / camera.scale);
};

function click(across, down) {
  const point = touched(across, down);
  if (point >= 0) change({ row: at.points.row[point] });
}

async function hover(across, down) {
  const tip = find("#map-title");
  const point = touched(across, down);
  find("#map-frame").classList.toggle("over", point >= 0);
  if (point < 0) return (tip.hidden = true);
  const row = at.points.row[point];
  if (tip.dataset.row === String(row) && !tip.hidden) return;
  tip.dataset.row = row;
  let title;
  try {
    title = (await itemOf(at.run.name, row)).title;
  } catch {
    title = t("row", { row: String(row) });
  }
  if (tip.dataset.row !== String(row)) return;
  const [left, top] = camera.screenAt(at.points.x[point], at.points.y[point]);
  tip.textContent = title;
  tip.hidden = false;
  tip.style.left = `${Math.min(left + 12, camera.width - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.max(8, top - 34)}px`;
}

function lassoing(on) {
  at.lassoing = on;
  find("#map-lasso").setAttribute("aria-pressed", String(on));
  find("#map-frame").classList.toggle("lassoing", on);
}

function outlineNode() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.id = "outline";
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(svg.namespaceURI, "polygon"));
  return svg;
}

function placeOutline(lasso) {
  const corners = [];
  for (let i = 0; lasso && i + 1 < lasso.length; i += 2) corners.push(camera.screenAt(lasso[i], lasso[i + 1]).join(","));
  find("#outline polygon").setAttribute("points", corners.join(" "));
}

/** While an outline is drawn, in places of the screen. */
const draw = (corners) => find("#outline polygon").setAttribute("points", corners.map((corner) => corner.join(",")).join(" "));

/** An outline of at most 40 corners goes into the address. */
function lassoed(corners) {
  const every = Math.max(1, Math.ceil(corners.length / 40));
  const kept = corners.filter((_, i) => i % every === 0);
  lassoing(false);
  change({ lasso: kept.length > 2 ? kept.flatMap(([across, down]) => camera.mapAt(across, down)).map(Math.round) : null });
}

/** The rows inside the outline that the address has. */
function outline(now) {
  placeOutline(now.lasso);
  const key = now.lasso && now.lasso.join();
  if (key === at.outlined) return;
  at.outlined = key;
  const place = find("#map-rows");
  if (!now.lasso) return fill(place);
  const rows = inside(at.points, now.lasso).map((i) => at.points.row[i]).sort((a, b) => a - b);
  showsOrder(rows);
  const clear = el("button", { type: "button", text: t("lasso.clear"), on: { click: () => change({ lasso: null }) } });
  fill(place, el("div", { class: "toolbar" }, el("h2", { text: t("lasso.count", { n: rows.length }) }), clear));
  announce(t("lasso.count", { n: rows.length }));
  if (rows.length) more(place, rows, 0);
}

async function more(place, rows, first) {
  const key = at.outlined;
  try {
    const items = await itemsOf(at.run.name, rows.slice(first, first + STEP));
    if (key !== at.outlined) return;
    place.append(grid(items));
    if (first + STEP >= rows.length) return;
    const button = el("button", { type: "button", text: t("more"), on: { click: () => (button.parentElement.remove(), more(place, rows, first + STEP)) } });
    place.append(el("p", { class: "more" }, button));
  } catch (error) {
    place.append(trouble(error, () => more(place, rows, first)));
  }
}
