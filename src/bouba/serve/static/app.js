// Where the page starts: it learns which runs there are, then shows what the address says.

import { announce, loadRun, loadRuns, nameOf, notice, runs, trouble } from "./context.js";
import { find, fill } from "./dom.js";
import { showHeader } from "./header.js";
import { apply, t } from "./language.js";
import { listenForKeys } from "./keyboard.js";
import { showMaking } from "./making.js";
import { leaveMap, showMap } from "./map.js";
import { showRow } from "./row.js";
import { showSearch } from "./search.js";
import { change, onChange, start, state } from "./state.js";
import { applyTheme } from "./theme.js";
import { listenForToken } from "./token.js";

const TABS = ["search", "map", "predict", "translate"];

/** The tabs that a run can fill. */
export const tabsOf = (run) => TABS.filter((tab) => run.abilities[tab]);

async function show(now) {
  const name = nameOf(now);
  let run;
  try {
    run = await loadRun(name);
  } catch (error) {
    notice(null);
    fill(find("#notice"), trouble(error, () => show(state())));
    return;
  }
  if (nameOf(state()) !== name) return; // another run was chosen meanwhile
  notice(null);
  const tabs = tabsOf(run);
  const tab = tabs.includes(now.tab) ? now.tab : (tabs[0] ?? "search");
  document.title = [state().tab === "search" && state().q, run.title, "bouba"].filter(Boolean).join(" · ");
  find("#heading").textContent = `${run.title}: ${t(`tab.${tab}`)}`;
  showHeader(state(), run, tabs, tab);
  for (const each of TABS) find(`#${each}`).hidden = each !== tab;
  if (tab !== "map") leaveMap();
  if (tab === "search") showSearch(state(), run);
  if (tab === "map") showMap(state(), run);
  if (tab === "predict" || tab === "translate") showMaking(tab, run);
  showRow(state(), run);
}

async function boot() {
  applyTheme();
  apply();
  start();
  onChange(show);
  listenForKeys();
  listenForToken(loadAll);
  await loadAll();
}

async function loadAll() {
  try {
    await loadRuns();
  } catch (error) {
    fill(find("#notice"), trouble(error, loadAll));
    return;
  }
  if (!runs().length) return notice(t("runs.none"));
  if (!runs().some((run) => run.name === nameOf(state()))) {
    announce(t("runs.other"));
    change({ run: null, against: null, row: null }, { push: false });
  }
  await show(state());
}

document.addEventListener("language", () => {
  apply();
  show(state());
});

boot();
