// The story of one task: who helps it, whom it helps, and how sure that is.
"use strict";

taskweb.views.story = function (body, { web, themes, settings, name }) {
  const make = taskweb.element, MOST = 30;
  const score = web.has("pc") ? "pc" : "t", { text: written } = taskweb.scores[score];
  let task = settings.task;
  const byName = web.orders.name;
  const controls = make("div", { className: "controls" }, taskweb.setupChoice(web),
    taskweb.choice("Task", byName.map((i) => [String(i), web.tasks[i]]), String(task), (value) => { task = Number(value); draw(); }));
  const story = make("p", { className: "story", role: "status" });
  const legend = make("div", { className: "legend" });
  const parts = ["Who helps it", "Whom it helps"].map((title) => ({ title: make("h4", { textContent: title }), chart: make("div", { className: "chart" }), rest: make("p", { className: "status" }) }));
  const panels = make("div", { className: "panels" }, ...parts.map(({ title, chart, rest }) => make("div", {}, title, chart, rest)));
  const numbers = make("div"), tools = make("div", { className: "tools" });
  const keep = (target, source) => web.targets[target] === task || web.sources[source] === task;
  const table = () => taskweb.pairTable(web, web.setup, keep);
  tools.append(make("button", { type: "button", textContent: "Save CSV", onclick: () => taskweb.saveAs(`${name}.csv`, taskweb.csv(table()), "text/csv") }));
  body.replaceChildren(controls, story, legend, panels, numbers, tools);

  // What is known of the task with each partner, best first: as a target, or as a source.
  function partners(asTarget) {
    const own = (asTarget ? web.targets : web.sources).indexOf(task);
    if (own < 0) return null;
    const found = (asTarget ? web.sources : web.targets).map((partner, i) => {
      const [target, source] = asTarget ? [own, i] : [i, own], of = (key) => web.value(key, web.setup, target, source);
      return { name: web.tasks[partner], value: of(score), reach: of("reach"), harm: of("harm"), pm: of("pm"), runs: of("runs") };
    });
    return found.filter(({ value }) => value === value).sort((a, b) => b.value - a.value);
  }

  const sureGain = ({ harm }) => harm < 0.025, sureHarm = ({ harm }) => harm > 0.975;
  const kind = (partner) => (sureGain(partner) ? "gain" : sureHarm(partner) ? "harm" : "unsure");
  const named = (partner) => `\u2068${taskweb.shortened(taskweb.label(partner.name), 30)}\u2069 (${written(partner.value)})`;

  function told(list, asTarget) {
    if (list === null) return asTarget ? "It was never a target." : "It was never a source.";
    if (!list.length) return asTarget ? "No source of it was measured in this setup." : "What it does to others was not measured in this setup.";
    const gains = list.filter(({ value }) => value > 0), surely = list.filter(sureGain).length, surelyHarm = list.filter(sureHarm).length;
    const known = list.some(({ harm }) => harm === harm);
    const count = `${gains.length} of ${list.length} ${asTarget ? "sources help it" : "tasks gain from it"}`;
    const clear = gains.length ? `, ${surely || "none"} of them clearly` : "";
    const sure = known ? `${clear}${surelyHarm ? `, and ${surelyHarm} ${asTarget ? "harm it" : "lose"} clearly` : ""}` : "";
    const best = gains.length ? `; most: ${gains.slice(0, 2).map(named).join(" and ")}` : "";
    const worst = list[list.length - 1].value < 0 ? `; worst: ${named(list[list.length - 1])}` : "";
    return `${count}${sure}${best}${worst}.`;
  }

  function spec(list) {
    const rows = list.map((partner, i) => ({ i, value: partner.value, kind: kind(partner), ...(partner.reach === partner.reach ? { low: partner.value - partner.reach, high: partner.value + partner.reach } : {}),
      partner: partner.name, shown: written(partner.value), range: partner.reach === partner.reach ? `${written(partner.value - partner.reach)} to ${written(partner.value + partner.reach)}` : "unknown", risk: partner.harm === partner.harm ? taskweb.probability(partner.harm) : "unknown" }));
    const { colours } = themes[taskweb.scheme()];
    const colour = { field: "kind", type: "nominal", legend: null, scale: { domain: ["gain", "harm", "unsure"], range: [colours.gain, colours.harm, colours.neutral] } };
    const y = { field: "i", type: "ordinal", title: null, sort: null, axis: { labelExpr: "names[datum.value]", labelLimit: body.clientWidth >= 640 ? 150 : 110, labelPadding: 8, domain: false, ticks: false } };
    const axis = score === "pc" ? { format: "+.0%", labelExpr: "datum.value ? datum.label : '0'", tickCount: 4, labelOverlap: true } : { tickCount: 4, labelOverlap: true };
    const x = (field) => ({ field, type: "quantitative", title: score === "pc" ? "PC, mean gain" : "T", axis, scale: { nice: true } });
    const tooltip = [["partner", "task"], ["shown", score === "pc" ? "PC" : "T"], ["range", "95% interval"], ["risk", "probability of harm"]].map(([field, title]) => ({ field, title }));
    return {
      data: { values: rows },
      params: [{ name: "names", value: list.map((partner) => taskweb.label(partner.name)) }],
      height: { step: 19 },
      usermeta: { mostWidth: 620 },
      layer: [
        { data: { values: [{}] }, mark: { type: "rule", style: "rule" }, encoding: { x: { datum: 0, type: "quantitative" } } },
        { transform: [{ filter: "isValid(datum.low)" }], mark: { type: "rule", strokeWidth: 2, opacity: 0.6 }, encoding: { y, x: x("low"), x2: { field: "high" }, color: colour, tooltip } },
        { mark: { type: "point", filled: true, size: 55, opacity: 1 }, encoding: { y, x: x("value"), color: colour, tooltip } },
      ],
    };
  }

  async function panel({ title, chart, rest }, list, asTarget) {
    title.hidden = chart.hidden = rest.hidden = !list || !list.length;
    if (!list || !list.length) return;
    const shown = list.length <= MOST ? list : [...list.slice(0, 20), ...list.slice(-10)];
    rest.textContent = shown.length < list.length ? `The best 20 and the worst 10 of ${list.length}; all are in the table.` : "";
    await taskweb.drawChart(chart, spec(shown), themes, told(list, asTarget));
  }

  async function draw() {
    const [helpers, helped] = [partners(true), partners(false)];
    story.replaceChildren(make("strong", {}, make("bdi", { textContent: taskweb.shortened(taskweb.label(web.tasks[task]), 60) })), `: ${told(helpers, true)} `, `As a source: ${told(helped, false)}`);
    const { colours } = themes[taskweb.scheme()];
    const entries = web.has("harm") ? [["gain", "clear gain"], ["harm", "clear harm"], ["neutral", "unclear: the 95% interval contains 0"]] : [];
    legend.replaceChildren(...entries.map(([key, label]) => {
      const swatch = make("span", { className: "swatch round" });
      swatch.style.background = colours[key];
      return make("span", { className: "scale" }, swatch, label);
    }));
    numbers.replaceChildren(taskweb.numbers(name, table));
    await Promise.all([panel(parts[0], helpers, true), panel(parts[1], helped, false)]);
    panels.dataset.drawn = web.tasks[task].slice(0, 60);
  }

  let seen = false;
  web.onSetup(() => seen && draw());
  taskweb.onTheme(() => seen && draw());
  taskweb.whenSeen(body, () => {
    seen = true;
    draw();
    let width = body.clientWidth;
    new ResizeObserver(() => {
      if (Math.abs(body.clientWidth - width) <= 8) return;
      width = body.clientWidth;
      draw();
    }).observe(body);
  });
};
