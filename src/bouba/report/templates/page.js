"use strict";
(() => {
  const { charts, points } = JSON.parse(document.getElementById("page-data").textContent);
  const tip = document.getElementById("tip");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const webgl = !!document.createElement("canvas").getContext("webgl");
  const chosen = {};

  // Charts take their text and grid colours from the page, so they follow light, dark and print.
  function themed(figure) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const layout = structuredClone(figure.layout);
    const axis = { gridcolor: colour("--grid"), zerolinecolor: colour("--grid"), linecolor: colour("--line"), automargin: false };
    for (const name of ["xaxis", "yaxis"]) layout[name] = { ...axis, ...layout[name] };
    if (coarse) for (const name of ["xaxis", "yaxis"]) layout[name].fixedrange = true;
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { family: colour("--sans"), size: 13, color: colour("--ink") };
    layout.hoverlabel = { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } };
    layout.autosize = true;
    const data = figure.data.map((trace) => {
      if (trace.type === "heatmap") return { ...trace, textfont: { size: 12, color: colour("--ink") } };
      return trace.type === "scattergl" && !webgl ? { ...trace, type: "scatter" } : trace;
    });
    return [data, layout];
  }

  function draw(element) {
    const name = element.dataset.chart;
    const [data, layout] = themed(charts[name][chosen[name] || 0]);
    const config = { displayModeBar: false, doubleClick: "reset" };
    return Plotly.react(element, data, layout, config);
  }

  function drawAll() {
    return Promise.all([...document.querySelectorAll("[data-chart]")].map(draw));
  }

  function press(button) {
    for (const other of button.parentElement.querySelectorAll("button"))
      other.setAttribute("aria-pressed", String(other === button));
  }

  function show(element, event) {
    const { names, labels, pictures } = points[element.dataset.chart];
    const i = event.points[0].customdata;
    const picture = tip.querySelector(".picture");
    const shown = pictures[i] ?? null;
    picture.className = shown === null ? "picture" : `picture p${shown}`;
    picture.hidden = shown === null;
    tip.querySelector("b").textContent = names[i];
    tip.querySelector("span").textContent =
      Object.entries(labels).filter(([label]) => label).map(([label, classes]) => `${label}: ${classes[i]}`).join("\n");
    tip.hidden = false;
    const { clientX: x, clientY: y } = event.event;
    const { offsetWidth: w, offsetHeight: h } = tip;
    tip.style.left = `${Math.max(4, x + 16 + w > innerWidth ? x - 16 - w : x + 16)}px`;
    tip.style.top = `${Math.max(4, Math.min(y - h / 2, innerHeight - h - 4))}px`;
  }

  function listen(element) {
    if (!points[element.dataset.chart]) return;
    element.on("plotly_hover", (event) => show(element, event));
    element.on("plotly_click", (event) => show(element, event));
    element.on("plotly_unhover", () => { tip.hidden = true; });
  }

  for (const group of document.querySelectorAll("[data-charts]")) {
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      press(button);
      for (const name of group.dataset.charts.split(" ")) {
        chosen[name] = Number(button.dataset.choice);
        draw(document.querySelector(`[data-chart="${name}"]`));
      }
    });
  }

  for (const group of document.querySelectorAll(".wall-choices")) {
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      press(button);
      for (const strip of group.parentElement.querySelectorAll(".strip"))
        strip.hidden = button.dataset.show !== "" && strip.dataset.method !== button.dataset.show;
    });
  }

  if (!Object.keys(charts).length) return;
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) if (target.offsetWidth) Plotly.Plots.resize(target);
  });
  drawAll().then(() => document.querySelectorAll("[data-chart]").forEach((element) => {
    listen(element);
    resized.observe(element);
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  matchMedia("print").addEventListener("change", drawAll);
  addEventListener("scroll", () => { if (tip) tip.hidden = true; }, { passive: true });
})();
