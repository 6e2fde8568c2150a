// Keys: / to the box, arrows through results, ? for help. Enter and escape are the browser's own.

import { el, fill, find } from "./dom.js";
import { t } from "./language.js";
import { change } from "./state.js";

const KEYS = [["/", "keys.slash"], ["← ↑ → ↓", "keys.arrows"], ["Enter", "keys.enter"], ["Esc", "keys.escape"], ["+ − 0", "keys.map"], ["?", "keys.help"]];

export function listenForKeys() {
  find("#help").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]")) return;
    const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (!typing && event.key === "/") {
      event.preventDefault();
      const elsewhere = find("#search").hidden;
      if (elsewhere) change({ tab: "search" });
      find("#q")?.focus();
      if (elsewhere) setTimeout(() => find("#q")?.focus(), 50); // once it is shown
    } else if (!typing && event.key === "?") help();
    else if (event.key === "Escape" && typing) event.target.blur();
    else if (event.key.startsWith("Arrow")) walk(event);
  });
}

/** From card to card as they lie on the page; down from the box to the first. */
function walk(event) {
  const cards = [...document.querySelectorAll("#results .card a.open")];
  const at = cards.indexOf(document.activeElement);
  if (event.target.id === "q" && event.key === "ArrowDown") return go(cards[0], event);
  if (at < 0) return;
  if (event.key === "ArrowRight") go(cards[at + 1], event);
  if (event.key === "ArrowLeft") go(cards[at - 1], event);
  if (event.key === "ArrowDown") go(nearest(cards, at, 1), event);
  if (event.key === "ArrowUp") go(nearest(cards, at, -1) ?? find("#q"), event);
}

function go(node, event) {
  if (!node) return;
  event.preventDefault();
  node.focus();
}

/** The card of the next line that lies closest below or above. */
function nearest(cards, at, way) {
  const from = cards[at].getBoundingClientRect();
  let best = null;
  for (const node of cards) {
    const to = node.getBoundingClientRect();
    const down = (to.top - from.top) * way;
    if (down < 4) continue;
    const far = down * 1000 + Math.abs(to.left - from.left);
    if (!best || far < best.far) best = { node, far };
  }
  return best?.node;
}

function help() {
  const dialog = find("#keys");
  fill(dialog, el("form", { method: "dialog" }, el("h2", { id: "keys-title", text: t("keys") }),
    el("dl", { class: "keys" }, KEYS.map(([key, words]) => el("div", {}, el("dt", {}, el("kbd", { text: key })), el("dd", { text: t(words) })))),
    el("p", { text: t("help.text") }),
    el("p", { class: "actions" }, el("button", { class: "main", text: t("close") }))));
  dialog.showModal();
}
