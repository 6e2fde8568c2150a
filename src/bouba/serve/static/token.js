// A server on another address than this machine wants a token; the person types it once.

import { keepToken } from "./api.js";
import { apply } from "./language.js";
import { el, fill, find } from "./dom.js";

export function listenForToken(again) {
  const dialog = find("#token");
  document.addEventListener("token", () => {
    const field = el("input", { type: "password", id: "token-field", autocomplete: "off", required: true });
    const form = el("form", { method: "dialog" },
      el("h2", { id: "token-title", data: { t: "token.title" } }),
      el("p", { data: { t: "token.text" } }),
      el("label", { for: "token-field", data: { t: "token.label" } }), field,
      el("p", { class: "actions" }, el("button", { class: "main", data: { t: "token.use" } })));
    form.addEventListener("submit", () => {
      keepToken(field.value.trim());
      again();
    });
    fill(dialog, form);
    apply(dialog);
    dialog.showModal();
    field.focus();
  });
}
