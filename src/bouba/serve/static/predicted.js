// What a model predicts, and why: what each view added, the words and the pixels that counted.

import { trouble } from "./context.js";
import { el, fill } from "./dom.js";
import { number, percent, shown, t } from "./language.js";

const MOST = 5; // classes with a bar

/** One label. `why` gives a promise of an element, and is called when it is opened. */
export function predicted(prediction, why) {
  const { label, value, probability, interval, probabilities } = prediction;
  const sure = probability !== null && probability !== undefined ? percent(probability) : null;
  const ends = interval ? t("interval", { low: interval[0], high: interval[1] }) : null;
  return el("div", { class: "predicted" },
    el("p", {}, el("span", { class: "label", text: label }), el("strong", { dir: "auto", text: shown(value) }), el("span", { class: "hint", text: sure ?? ends ?? "" })),
    probabilities && bars(probabilities),
    why && whyOf(why));
}

function bars(probabilities) {
  const best = Object.entries(probabilities).sort(([, a], [, b]) => b - a).slice(0, MOST);
  return el("ul", { class: "classes" }, best.map(([name, share]) => el("li", {}, el("span", { dir: "auto", text: name }), bar(share), el("span", { class: "count", text: percent(share) }))));
}

function bar(share) {
  const node = el("span", { class: "bar", "aria-hidden": "true" }, el("span"));
  node.firstChild.style.width = `${100 * share}%`;
  return node;
}

function whyOf(why) {
  const details = el("details", { class: "why" }, el("summary", { text: t("why") }));
  const place = el("div", { class: "why-body" });
  details.append(place);
  const load = async () => {
    fill(place, el("p", { class: "hint", text: t("why.loading") }));
    try {
      fill(place, await why());
    } catch (error) {
      fill(place, trouble(error, load));
    }
  };
  details.addEventListener("toggle", () => details.open && !place.hasChildNodes() && load());
  return details;
}

/** An explanation as elements. `views` are those of the row, for pictures under their overlays. */
export async function explained(answer, views) {
  const { value, views: shares, words, pixels } = await answer;
  const most = Math.max(...shares.map((each) => Math.abs(each.value)), 1e-9);
  return el("div", {},
    el("p", { class: "hint", text: t("why.text", { value: shown(value) }) }),
    el("ul", { class: "shapley" }, shares.map((each) => share(each, most))),
    Object.entries(words ?? {}).map(([view, list]) => spoken(view, list)),
    Object.entries(pixels ?? {}).map(([view, overlay]) => overlaid(view, overlay, views)));
}

/** To the right what spoke for it, to the left what spoke against. */
function share({ view, value }, most) {
  const fillNode = el("span", { class: value < 0 ? "against-it" : "for-it" });
  fillNode.style.width = `${(50 * Math.abs(value)) / most}%`;
  return el("li", {}, el("span", { text: view }), el("span", { class: "two-sided", "aria-hidden": "true" }, fillNode), el("span", { class: "count", text: (value > 0 ? "+" : "") + number(value) }));
}

function spoken(view, list) {
  const most = Math.max(...list.map(([, weight]) => Math.abs(weight)), 1e-9);
  return el("p", { class: "spoken", dir: "auto" }, el("span", { class: "label", text: view }), list.map(([word, weight]) => {
    const node = el("span", { class: weight < 0 ? "word against-it" : "word for-it", text: word, title: number(weight) });
    node.style.setProperty("--weight", Math.abs(weight) / most);
    return [node, " "];
  }));
}

function overlaid(view, overlay, views) {
  const below = views[view];
  const source = below?.data ?? below?.media;
  return el("figure", { class: "overlaid" },
    el("div", {}, source && el("img", { src: source, alt: "" }), el("img", { class: "overlay", src: overlay, alt: t("pixels", { view }) })),
    el("figcaption", { text: t("pixels", { view }) }));
}
