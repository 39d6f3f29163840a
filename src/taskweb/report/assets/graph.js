// Strong transfers of a web between tasks on a circle, with a slider for how strong: gains as arrows, harms as dashed lines that
// end in a bar.
"use strict";

taskweb.views.graph = function (body, { web, themes, settings, sentence, name }) {
  const make = taskweb.element, MOST = 400, AT_FIRST = 40, STEPS = 200, LEAST_ROOM = 7;
  const zscore = web.scale === "zscore", words = zscore ? { gain: "above the mean", harm: "below the mean" } : { gain: "gain", harm: "harm" };
  const shows = zscore ? { both: "All", gain: "Above the mean", harm: "Below the mean" } : { both: "Gains and harms", gain: "Gains", harm: "Harms" };
  const choice = { threshold: 0, sure: false, task: null, show: "both" };
  const order = new Map((web.orders.category || web.orders.cluster).map((task, i) => [task, i]));
  const slider = make("input", { type: "range", min: "0", max: String(STEPS), oninput: () => { choice.threshold = (Number(slider.value) / STEPS) * strongest(); draw(); } });
  const shownAs = make("output", { className: "value" });
  const sure = make("input", { type: "checkbox", onchange: () => { choice.sure = sure.checked; draw(); } });
  const shown = taskweb.choice("Show", Object.entries(shows), choice.show, (kind) => { choice.show = kind; restart(); });
  const controls = make("div", { className: "controls" }, taskweb.setupChoice(web), shown, make("label", { className: "slider" }, make("span", {}, "Size of T above ", shownAs), slider));
  if (web.has("harm")) controls.append(make("label", { className: "inline" }, sure, "Only where gain or harm is 95% sure"));
  const status = make("p", { className: "status", role: "status" });
  const legend = make("div", { className: "legend" }), frame = make("div", { className: "graph" }), numbers = make("div"), tools = make("div", { className: "tools" });
  tools.append(make("button", { type: "button", textContent: "Save SVG", onclick: () => taskweb.saveSvg(name, frame.firstChild) }),
    make("button", { type: "button", textContent: "Save CSV", onclick: () => taskweb.saveAs(`${name}.csv`, taskweb.csv(table()), "text/csv") }));
  body.replaceChildren(controls, status, legend, frame, numbers, tools);

  // All transfers of the setup, strongest first, whether they are gains or harms.
  const lists = {};
  function transfers() {
    if (!lists[web.setup]) {
      const found = [];
      for (let target = 0; target < web.targets.length; target++)
        for (let source = 0; source < web.sources.length; source++) {
          const t = web.value("t", web.setup, target, source);
          if (t > 0 || t < 0) found.push({ t, size: Math.abs(t), kind: t > 0 ? "gain" : "harm", source, target, from: web.sources[source], to: web.targets[target], harm: web.value("harm", web.setup, target, source) });
        }
      lists[web.setup] = found.sort((a, b) => b.size - a.size);
    }
    return lists[web.setup].filter(({ kind }) => choice.show === "both" || kind === choice.show);
  }
  const strongest = () => (transfers().length ? transfers()[0].size : 1);
  const isSure = ({ kind, harm }) => (kind === "gain" ? harm < 0.05 : harm > 0.95);
  const kept = () => transfers().filter((edge) => edge.size > choice.threshold && (!choice.sure || isSure(edge)));
  const number = (n, what) => `${n.toLocaleString("en-GB")} ${what}${n === 1 || zscore && what !== "transfer" && what !== "task" ? "" : "s"}`;
  const counted = (edges) => ["gain", "harm"].filter((kind) => choice.show !== (kind === "gain" ? "harm" : "gain")).map((kind) => number(edges.filter((edge) => edge.kind === kind).length, words[kind])).join(" and ");
  const table = () => {
    const chosen = new Set(kept().map((edge) => `${edge.target} ${edge.source}`));
    return taskweb.pairTable(web, web.setup, (target, source) => chosen.has(`${target} ${source}`));
  };

  const drawn = (tag, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };

  function draw() {
    const every = kept(), edges = every.slice(0, MOST);
    const tasks = [...new Set(edges.flatMap(({ from, to }) => [from, to]))].sort((a, b) => order.get(a) - order.get(b));
    if (!tasks.includes(choice.task)) choice.task = null;
    shownAs.textContent = choice.threshold.toFixed(3);
    slider.value = String(Math.round((STEPS * choice.threshold) / strongest()));
    slider.setAttribute("aria-valuetext", `Size of T above ${choice.threshold.toFixed(3)}`);
    const more = every.length > MOST ? `; only the ${MOST} strongest of them are drawn (${counted(edges)})` : "";
    const focused = frame.contains(document.activeElement) ? choice.task : null;
    const place = placed(tasks), unnamed = place.named ? "" : " Names have no room: point at a task to see its name.";
    status.textContent = edges.length ? `${number(every.length, "transfer")} among ${number(tasks.length, "task")}: ${counted(every)}${more}. Choose a task to see only its transfers.${unnamed}` : "No transfer is that strong.";
    frame.replaceChildren(picture(tasks, edges, place));
    Object.assign(frame.dataset, { drawn: String(edges.length), harms: String(edges.filter(({ kind }) => kind === "harm").length) });
    if (focused !== null) frame.querySelector(`[data-task="${focused}"]`)?.focus();
    legends(tasks);
    numbers.replaceChildren(taskweb.numbers(name, table));
  }

  const colourOf = (task) => {
    const theme = themes[taskweb.scheme()], range = theme.config.range.category;
    return web.orders.category ? range[web.categoryNames.indexOf(web.categories[task]) % range.length] : theme.colours.muted;
  };

  function line(kind) {
    const colour = themes[taskweb.scheme()].colours[kind], svg = drawn("svg", { width: 34, height: 10, "aria-hidden": "true" });
    svg.append(drawn("path", { d: "M1 5H29", fill: "none", stroke: colour, "stroke-width": 2.5, ...dashed(kind) }), kind === "gain" ? drawn("path", { d: "M26 1L34 5L26 9z", fill: colour }) : drawn("path", { d: "M31 0V10", stroke: colour, "stroke-width": 2.5 }));
    return make("span", { className: "scale" }, svg, words[kind]);
  }
  const dashed = (kind) => (kind === "harm" ? { "stroke-dasharray": "5 3.5" } : {});

  function legends(tasks) {
    legend.replaceChildren(...["gain", "harm"].filter((kind) => choice.show === "both" || choice.show === kind).map(line), ...(web.orders.category ? web.categoryNames.filter((category) => tasks.some((task) => web.categories[task] === category)) : []).map((category) => {
      const swatch = make("span", { className: "swatch round" });
      swatch.style.background = colourOf(web.categories.indexOf(category));
      return make("span", { className: "scale" }, swatch, category);
    }));
  }

  // Where tasks stand: names only where they have room.
  function placed(tasks) {
    const { config } = themes[taskweb.scheme()];
    const wide = frame.clientWidth >= 640, room = Math.min(frame.clientWidth, wide ? 720 : 460), font = tasks.length > 90 ? 8 : tasks.length > 45 || !wide ? 10 : 12;
    const labels = new Map(tasks.map((task) => [task, taskweb.shortened(taskweb.label(web.tasks[task]), wide ? 19 : 12)]));
    const context = make("canvas").getContext("2d");
    context.font = `${font}px ${config.font}`;
    const long = 18 + Math.ceil(Math.max(0, ...[...labels.values()].map((text) => context.measureText(text).width)));
    const named = (2 * Math.PI * (room / 2 - long)) / Math.max(1, tasks.length) >= LEAST_ROOM, margin = named ? long : 18;
    const radius = Math.min(room / 2 - margin, 40 + 22 * tasks.length);
    return { radius, margin, labels, font, named };
  }

  function picture(tasks, edges, { radius, margin, labels, font, named }) {
    const { colours, config } = themes[taskweb.scheme()];
    const middle = radius + margin, size = 2 * middle;
    const first = tasks.length < 4 ? 0 : -Math.PI / 2; // few names lie rather than stand
    const angle = new Map(tasks.map((task, i) => [task, (2 * Math.PI * i) / tasks.length + first]));
    const at = (task, far = radius) => [middle + far * Math.cos(angle.get(task)), middle + far * Math.sin(angle.get(task))];
    const chosen = choice.task, counts = new Map(tasks.map((task) => [task, { gain: 0, harm: 0, gained: 0, harmed: 0 }]));
    for (const { from, to, kind } of edges) { counts.get(from)[kind]++; counts.get(to)[kind === "gain" ? "gained" : "harmed"]++; }
    const svg = drawn("svg", { viewBox: `0 0 ${size} ${size}`, width: size, height: size, role: "group", "font-family": config.font, "font-size": font });
    svg.setAttribute("aria-label", `${sentence.textContent} ${status.textContent}`);
    const head = (kind, shape) => drawn("marker", { id: `${name}-${kind}`, viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" }, drawn("path", shape));
    svg.append(drawn("defs", {}, head("gain", { d: "M0 0.8L8 4L0 7.2z", fill: colours.gain }), head("harm", { d: "M6 0V8", fill: "none", stroke: colours.harm, "stroke-width": 2 })));
    const top = strongest(), least = edges.length === MOST ? edges[MOST - 1].size : choice.threshold, thin = edges.length > 120 ? 0.4 : 1;
    for (const edge of [...edges].reverse()) {
      const own = chosen === null || edge.from === chosen || edge.to === chosen;
      const [[x1, y1], [x2, y2]] = [at(edge.from), at(edge.to, radius - 7)];
      const bend = 0.12, pull = 0.1 + 0.25 * (Math.hypot(x2 - x1, y2 - y1) / radius);
      const cx = middle + ((x1 + x2) / 2 - middle) * (1 - pull) - (y2 - y1) * bend, cy = middle + ((y1 + y2) / 2 - middle) * (1 - pull) + (x2 - x1) * bend;
      const strength = (edge.size - least) / (top - least || 1), d = `M${x1.toFixed(1)} ${y1.toFixed(1)}Q${cx.toFixed(1)} ${cy.toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
      svg.append(drawn("path", { d, fill: "none", stroke: colours[edge.kind], ...dashed(edge.kind), "stroke-width": (thin + 3.2 * strength).toFixed(2), "stroke-opacity": own ? (0.4 + 0.5 * strength).toFixed(2) : 0.06, "marker-end": own ? `url(#${name}-${edge.kind})` : "" }));
      if (!own) continue;
      const reach = drawn("path", { d, fill: "none", stroke: "transparent", "stroke-width": 9, "data-edge": "" });
      reach.addEventListener("pointermove", (event) => taskweb.tooltip.show(taskweb.pairFacts(web, web.setup, edge.target, edge.source), event.clientX, event.clientY));
      reach.addEventListener("pointerleave", () => taskweb.tooltip.hide());
      svg.append(reach);
    }
    const near = (task) => chosen === null || task === chosen || edges.some(({ from, to }) => (from === chosen && to === task) || (to === chosen && from === task));
    tasks.forEach((task, i) => {
      const [x, y] = at(task), turn = (angle.get(task) * 180) / Math.PI, left = Math.cos(angle.get(task)) < -1e-9, own = counts.get(task);
      const text = drawn("text", { x: left ? -12 : 12, y: 0, dy: "0.35em", fill: colours.text, "text-anchor": left ? "end" : "start", "font-weight": task === chosen ? 700 : 400, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${(left ? turn + 180 : turn).toFixed(1)})` });
      text.textContent = named ? labels.get(task) : "";
      const node = drawn("g", { tabindex: (chosen === null ? i === 0 : task === chosen) ? 0 : -1, role: "button", "data-task": task, "aria-pressed": String(task === chosen), opacity: near(task) ? 1 : 0.3, style: "cursor: pointer" },
        drawn("circle", { cx: x, cy: y, r: ((named ? 3 : 2) + 1.3 * Math.sqrt(own.gain + own.harm)).toFixed(1), fill: colourOf(task), stroke: colours.background, "stroke-width": 1.5 }), text);
      node.setAttribute("aria-label", `${taskweb.shortened(web.tasks[task], 80)}: ${told(own).map(([what, n]) => `${what} ${n}`).join(", ")}`);
      const choose = () => { choice.task = choice.task === task ? null : task; draw(); frame.querySelector(`[data-task="${task}"]`).focus({ preventScroll: true }); };
      node.addEventListener("click", choose);
      node.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (event.key === "Enter" || event.key === " ") choose();
        else if (event.key === "Escape" && choice.task !== null) choose();
        else if (step) frame.querySelector(`[data-task="${tasks[(i + step + tasks.length) % tasks.length]}"]`).focus();
        else return;
        event.preventDefault();
      });
      node.addEventListener("pointermove", (event) => taskweb.tooltip.show([["task", web.tasks[task]], ...told(own)], event.clientX, event.clientY));
      node.addEventListener("pointerleave", () => taskweb.tooltip.hide());
      svg.append(node);
    });
    return svg;
  }

  const told = ({ gain, harm, gained, harmed }) => [["gain", "helps", gain], ["harm", "harms", harm], ["gain", "is helped by", gained], ["harm", "is harmed by", harmed]]
    .filter(([kind]) => choice.show === "both" || choice.show === kind).map(([, what, n]) => [what, String(n)]);

  let seen = false;
  // The threshold below which the strongest transfers end, rounded down to three digits.
  function restart() {
    const sizes = transfers();
    choice.threshold = sizes.length >= AT_FIRST ? Math.floor(1000 * sizes[AT_FIRST - 1].size) / 1000 : 0;
    draw();
  }
  const setup = () => {
    sentence.textContent = settings.sentences[web.setup];
    restart();
  };
  web.onSetup(() => seen && setup());
  taskweb.onTheme(() => seen && draw());
  taskweb.whenSeen(body, () => {
    seen = true;
    setup();
    let width = frame.clientWidth;
    new ResizeObserver(() => {
      if (Math.abs(frame.clientWidth - width) <= 8) return;
      width = frame.clientWidth;
      draw();
    }).observe(frame);
  });
};
