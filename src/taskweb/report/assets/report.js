// Starts a report: draws every part of the page from the data inside it.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  theme.addEventListener("change", () => {
    if (theme.value) root.dataset.theme = theme.value;
    else delete root.dataset.theme;
    taskweb.themeChanged();
  });
  addEventListener("beforeprint", () => {
    taskweb.printing = true;
    taskweb.themeChanged();
  });
  addEventListener("afterprint", () => {
    taskweb.printing = false;
    taskweb.themeChanged();
  });
  const web = data.web ? taskweb.openWeb(data.web) : null;
  taskweb.web = web;
  for (const part of document.querySelectorAll("[data-part]")) {
    const body = part.querySelector(".body");
    const kind = part.dataset.part, sentence = part.querySelector(".sentence");
    const described = `${part.querySelector("h3").textContent}: ${sentence.textContent}`;
    if (kind === "figure") taskweb.drawFigure(body, part.id, data.figures[part.id], data.themes, described);
    else if (kind !== "table") taskweb.views[kind](body, { web, themes: data.themes, settings: data.views[part.id], sentence, name: part.id });
    else {
      const table = data.tables[part.id];
      taskweb.drawTable(body, table, part.id, 25);
      body.append(taskweb.element("div", { className: "tools" }, taskweb.element("button", { type: "button", textContent: "Save CSV", onclick: () => taskweb.saveAs(`${part.id}.csv`, taskweb.csv(table), "text/csv") })));
    }
  }
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
  root.dataset.ready = "true";
})();
