// Figures of any page: Vega-Lite specifications drawn as SVG, with a tooltip and downloads. Expressions are interpreted, never
// evaluated as code, so a page may forbid that. Texts are set as text.
"use strict";
var taskweb = globalThis.taskweb || (globalThis.taskweb = {});

taskweb.element = function (tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};

taskweb.scheme = function () {
  const chosen = document.documentElement.dataset.theme;
  return chosen || (matchMedia("(prefers-color-scheme: dark)").matches && !taskweb.printing ? "dark" : "light");
};

taskweb.shortened = function (text, most = 60) {
  const characters = Array.from(String(text));
  return characters.length > most ? characters.slice(0, most - 1).join("") + "…" : String(text);
};

taskweb.tooltip = {
  show(rows, x, y) {
    const box = this.box || (this.box = document.body.appendChild(taskweb.element("div", { className: "tooltip", role: "status" })));
    box.replaceChildren(
      ...rows.map(([name, value]) =>
        taskweb.element("div", {}, taskweb.element("span", { textContent: taskweb.shortened(name) }), taskweb.element("bdi", { textContent: taskweb.shortened(value, 90) }))
      )
    );
    box.hidden = false;
    const left = x + 16 + box.offsetWidth > innerWidth ? x - 12 - box.offsetWidth : x + 16;
    const top = y + 16 + box.offsetHeight > innerHeight ? y - 12 - box.offsetHeight : y + 16;
    box.style.left = `${Math.max(4, left)}px`;
    box.style.top = `${Math.max(4, top)}px`;
  },
  hide() {
    if (this.box) this.box.hidden = true;
  },
};

taskweb.vegaTooltip = function (_handler, event, _item, value) {
  if (value === null || value === undefined || value === "") return taskweb.tooltip.hide();
  const rows = typeof value === "object" ? Object.entries(value) : [["", value]];
  taskweb.tooltip.show(rows, event.clientX, event.clientY);
};

// A specification as wide as there is room for; panels that do not fit side by side stand below each other.
taskweb.sizedSpec = function (spec, width, most) {
  if (spec.concat) {
    const columns = Math.max(1, Math.min(spec.columns || 1, spec.concat.length, Math.floor(width / 250)));
    const panel = Math.max(150, Math.min(360, Math.floor(width / columns) - 78));
    return { ...spec, columns, concat: spec.concat.map((part) => ({ ...part, width: panel })) };
  }
  const composed = ["hconcat", "vconcat", "facet", "repeat"].some((key) => key in spec);
  if (composed || (spec.width !== undefined && spec.width !== "container")) return spec;
  return { ...spec, width: Math.min(width, most), autosize: { type: "fit-x", contains: "padding" } };
};

// Draw a Vega-Lite specification into an element, as wide as it; returns the view. description: what a screen reader says.
taskweb.drawChart = async function (element, spec, themes, description) {
  const width = Math.max(240, Math.floor(element.clientWidth) - 8);
  const most = spec.usermeta && spec.usermeta.mostWidth ? spec.usermeta.mostWidth : 860;
  const sized = taskweb.sizedSpec(spec, width, most);
  const room = Math.min(width, most);
  const legends = room < 480 ? { symbolDirection: "vertical", columns: 1 } : { columns: Math.floor(room / 150) };
  const config = vega.mergeConfig({}, themes[taskweb.scheme()].config, { legend: legends }, spec.config || {});
  const compiled = vegaLite.compile({ ...sized, config }, { logger: taskweb.quietLogger }).spec;
  const view = new vega.View(vega.parse(compiled, null, { ast: true }), {
    expr: vega.expressionInterpreter,
    renderer: "svg",
    hover: true,
    tooltip: taskweb.vegaTooltip,
    logLevel: vega.Error,
  });
  const inside = taskweb.element("div", { className: "vega" });
  view.initialize(inside);
  await view.runAsync();
  const drawn = inside.querySelector("svg");
  if (drawn) {
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", description);
    for (const node of drawn.querySelectorAll("[role],[aria-label],[aria-roledescription]")) {
      for (const name of ["role", "aria-label", "aria-roledescription"]) node.removeAttribute(name);
    }
  }
  const old = element.vegaView;
  element.replaceChildren(inside);
  element.vegaView = view;
  if (old) old.finalize();
  return view;
};

taskweb.quietLogger = (() => {
  const logger = { level: () => logger, error: (...what) => { console.error(...what); return logger; } };
  logger.warn = logger.info = logger.debug = () => logger;
  return logger;
})();

// An SVG as a file: names are escaped, and characters that no XML may contain are replaced.
taskweb.saveSvg = function (name, svg) {
  const text = typeof svg === "string" ? svg : new XMLSerializer().serializeToString(svg);
  taskweb.saveAs(`${name}.svg`, text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd"), "image/svg+xml");
};

taskweb.saveAs = function (name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  taskweb.element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
};

// A figure in an element: chart, downloads, and its numbers as a table that is made when it is opened.
taskweb.drawFigure = function (element, name, figure, themes, description) {
  const chart = taskweb.element("div", { className: "chart" });
  const tools = taskweb.element("div", { className: "tools" });
  const button = (label, act) => tools.append(taskweb.element("button", { type: "button", textContent: label, onclick: act }));
  button("Save SVG", async () => taskweb.saveSvg(name, await chart.vegaView.toSVG()));
  button("Save CSV", () => taskweb.saveAs(`${name}.csv`, taskweb.csv(figure.table), "text/csv"));
  element.replaceChildren(chart, taskweb.numbers(name, figure.table), tools);
  let width = 0;
  const draw = () => {
    width = chart.clientWidth;
    return taskweb.drawChart(chart, figure.spec, themes, description);
  };
  taskweb.whenSeen(element, () => {
    draw();
    new ResizeObserver(() => Math.abs(chart.clientWidth - width) > 8 && draw()).observe(chart);
  });
  taskweb.onTheme(() => chart.vegaView && draw());
};

// Numbers as a table behind a summary.
taskweb.numbers = function (name, table, label = "Numbers as a table") {
  const details = taskweb.element("details", { className: "numbers" }, taskweb.element("summary", { textContent: label }));
  const body = details.appendChild(taskweb.element("div"));
  details.addEventListener("toggle", () => {
    if (details.open && !body.firstChild) taskweb.drawTable(body, typeof table === "function" ? table() : table, name);
  });
  return details;
};

taskweb.whenSeen = function (element, act) {
  const watcher = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      watcher.disconnect();
      removeEventListener("beforeprint", now);
      act();
    }
  }, { rootMargin: "400px" });
  const now = () => { watcher.disconnect(); act(); };
  addEventListener("beforeprint", now, { once: true });
  watcher.observe(element);
};

taskweb.themeListeners = [];
taskweb.onTheme = (act) => taskweb.themeListeners.push(act);
taskweb.themeChanged = () => taskweb.themeListeners.forEach((act) => act());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", taskweb.themeChanged);
