// The transfers of a web as cells, source by target, drawn on a canvas so that 40,000 cells stay quick.
"use strict";

taskweb.mostPixels = { side: 16384, all: 16e6 }; // of a canvas, beyond which some browsers draw nothing

taskweb.views.heatmap = function (body, { web, themes, settings, sentence, name }) {
  const make = taskweb.element;
  const choice = { score: web.has("pc") ? "pc" : "t", order: web.orders.category ? "category" : "cluster", fading: web.has("harm"), sources: "", targets: "" };
  const legend = make("div", { className: "legend" });
  const canvas = make("canvas", { tabIndex: 0 });
  canvas.setAttribute("role", "img");
  const frame = make("div", { className: "heatmap" }, canvas);
  const caption = make("p", { className: "status" });
  const scores = ["t", "pc", "pm"].filter(web.has).map((key) => [key, { t: "T, combined", pc: "PC, mean gain", pm: "PM, share of gains" }[key]]);
  const orders = Object.keys(web.orders).map((key) => [key, { category: "Category", cluster: "Cluster", name: "Name" }[key]]);
  orders.splice(-1, 0, ["strength", "Strongest first"]);
  const fading = make("input", { type: "checkbox", checked: choice.fading, onchange: () => { choice.fading = fading.checked; draw(); } });
  const again = (key) => (value) => { choice[key] = value; draw(); };
  const controls = make("div", { className: "controls" }, taskweb.setupChoice(web), taskweb.choice("Score", scores, choice.score, again("score")),
    taskweb.choice("Order", orders, choice.order, again("order")), taskweb.searchField("Sources", again("sources")), taskweb.searchField("Targets", again("targets")));
  if (web.has("harm")) controls.append(make("label", { className: "inline" }, fading, "Fade uncertain cells"));
  for (const field of controls.querySelectorAll("input[type=search]")) field.placeholder = "All";
  const tools = make("div", { className: "tools" });
  const numbers = make("div");
  body.replaceChildren(controls, legend, frame, caption, numbers, tools);
  tools.append(
    make("button", { type: "button", textContent: "Save SVG", onclick: () => taskweb.saveSvg(name, vectors()) }),
    make("button", { type: "button", textContent: "Save PNG", onclick: () => pixels().toBlob((blob) => taskweb.saveAs(`${name}.png`, blob, "image/png")) }),
    make("button", { type: "button", textContent: "Save CSV", onclick: () => taskweb.saveAs(`${name}.csv`, taskweb.csv(table()), "text/csv") })
  );

  let layout = null, at = null;

  function strengths(setup, of) {
    const [n, m] = of === "sources" ? [web.sources.length, web.targets.length] : [web.targets.length, web.sources.length];
    return Array.from({ length: n }, (_n, i) => {
      let sum = 0, count = 0;
      for (let j = 0; j < m; j++) {
        const value = of === "sources" ? web.value(choice.score, setup, j, i) : web.value(choice.score, setup, i, j);
        if (value === value) { sum += value; count++; }
      }
      return count ? sum / count : -Infinity;
    });
  }

  // Positions of sources or targets in the chosen order, only those that the filter keeps.
  function ordered(of) {
    const positions = web[of], wanted = choice[of];
    let list = positions.map((_task, i) => i);
    if (choice.order === "strength") {
      const mean = strengths(web.setup, of);
      list.sort((a, b) => mean[b] - mean[a] || a - b);
    } else {
      const rank = new Map(web.orders[choice.order].map((task, i) => [task, i]));
      list.sort((a, b) => rank.get(positions[a]) - rank.get(positions[b]));
    }
    const has = (task) => web.tasks[task].toLowerCase().includes(wanted) || (web.orders.category && web.categories[task].toLowerCase() === wanted);
    return wanted ? list.filter((i) => has(positions[i])) : list;
  }

  const table = () => {
    const [rows, columns] = [new Set(ordered("targets")), new Set(ordered("sources"))];
    return taskweb.pairTable(web, web.setup, (target, source) => rows.has(target) && columns.has(source));
  };

  const textWidth = (context, names, most) => Math.ceil(Math.min(most, Math.max(0, ...names.map((text) => context.measureText(text).width))));

  function measure(context) {
    const wide = frame.clientWidth >= 640, columns = ordered("sources"), rows = ordered("targets");
    const labels = { sources: columns.map((i) => taskweb.label(web.sourceName(i))), targets: rows.map((i) => taskweb.label(web.targetName(i))) };
    const left = 8 + textWidth(context, labels.targets, wide ? 150 : 96), long = textWidth(context, labels.sources, wide ? 150 : 96);
    const grouped = choice.order === "category" && wide && rows.length <= 60;
    const names = grouped ? textWidth(context, rows.map((i) => web.categories[web.targets[i]]), 120) + 16 : 0;
    const room = frame.clientWidth - left - 2;
    const turned = (room - names) / Math.max(1, columns.length) < 26;
    const overhang = turned ? 0 : Math.ceil(long * 0.64);
    const width = Math.max(wide ? 4 : 3.5, Math.min(columns.length > 8 ? 46 : 76, (room - Math.max(names, overhang)) / Math.max(1, columns.length)));
    const height = Math.min(rows.length > 8 ? 26 : 38, Math.max(width, rows.length > 60 ? 4 : 12));
    const labelled = { sources: width >= 10, targets: height >= 10 };
    const flat = long <= width - 8;
    const top = !labelled.sources ? 8 : flat ? 24 : turned ? long + 10 : Math.ceil(long * 0.77) + 20;
    const side = labelled.targets ? left : 2;
    return { columns, rows, labels, labelled, flat, turned, grouped, width, height, top, left: side, right: Math.max(names, overhang), wide };
  }

  const fonts = (theme) => (size) => `${size}px ${theme.config.font}`;

  function size() {
    const { columns, rows, width, height, top, left } = layout;
    return [Math.ceil(left + columns.length * width + layout.right + 2), Math.ceil(top + rows.length * height + 2)];
  }

  // What `draw` draws, with the legend below: as shapes and texts, and as pixels for a file.
  function vectors() {
    const [across, down] = sizeWithLegend(), context = taskweb.svgContext(canvas.getContext("2d"), across, down);
    picture(context, across, down);
    return context.svg(`${sentence.textContent} ${legend.textContent}. ${caption.textContent}`);
  }

  function pixels() {
    const [across, down] = sizeWithLegend(), copy = make("canvas"), dense = density(across, down, 2);
    [copy.width, copy.height] = [across, down].map((length) => Math.round(length * dense));
    const context = copy.getContext("2d");
    context.setTransform(dense, 0, 0, dense, 0, 0);
    picture(context, across, down);
    return copy;
  }

  function sizeWithLegend() {
    const [across, down] = size();
    return [Math.max(across, 330), down + 62];
  }

  function picture(context, across, down) {
    const theme = themes[taskweb.scheme()], font = fonts(theme);
    context.fillStyle = theme.colours.background;
    context.fillRect(0, 0, across, down);
    cells(context, theme, font);
    names(context, theme.colours, font);
    drawLegend(context, theme, font, down - 50);
  }

  function drawLegend(context, theme, font, top) {
    const { low, high, unit } = ends(), colourAt = taskweb.diverging(theme.diverging), bar = 120, step = 2;
    context.font = font(12);
    context.textAlign = "left";
    context.textBaseline = "middle";
    const left = 8, start = left + Math.ceil(context.measureText(`harm ${low}`).width) + 6;
    for (let x = 0; x < bar; x += step) {
      context.fillStyle = `rgb(${colourAt((2 * x) / (bar - step) - 1).map(Math.round)})`;
      context.fillRect(start + x, top, step, 10);
    }
    context.fillStyle = theme.colours.text;
    context.fillText(`harm ${low}`, left, top + 5);
    context.fillText(`${high} gain`, start + bar + 6, top + 5);
    context.fillText(unit + (choice.fading ? "; the fainter, the less sure is the sign" : ""), left, top + 23);
    if (!gaps()) return;
    context.fillText("not measured", left + 18, top + 41);
    context.fillStyle = theme.colours.missing;
    context.fillRect(left, top + 36, 11, 11);
  }

  const density = (across, down, least) => {
    const { side, all } = taskweb.mostPixels;
    return Math.min(Math.max(least, devicePixelRatio) * (taskweb.printing ? 2 : 1), 3, side / Math.max(across, down), Math.sqrt(all / (across * down)));
  };

  function draw() {
    const context = canvas.getContext("2d");
    const theme = themes[taskweb.scheme()], { colours } = theme, font = fonts(theme);
    context.font = font(12);
    layout = measure(context);
    const { columns, rows } = layout, [across, down] = size();
    const dense = density(across, down, 1);
    [canvas.width, canvas.height] = [across, down].map((pixels) => Math.round(pixels * dense));
    [canvas.style.width, canvas.style.height] = [across, down].map((pixels) => `${pixels}px`);
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.fillStyle = colours.background;
    context.fillRect(0, 0, across, down);
    cells(context, theme, font);
    names(context, colours, font);
    explain(theme);
    canvas.setAttribute("aria-label", `${sentence.textContent} Arrow keys move from cell to cell. The numbers are in the table below.`);
    canvas.dataset.drawn = String(columns.length * rows.length);
    numbers.replaceChildren(taskweb.numbers(name, table));
  }

  function cells(context, theme, font) {
    const { columns, rows, width, height, top, left } = layout, { middle, short } = taskweb.scores[choice.score];
    const limit = choice.score === "pm" ? 0.5 : web.limit(choice.score);
    const gap = width >= 9 ? 1 : 0, written = width >= 30 && height >= 18;
    context.font = font(11);
    context.textAlign = "center";
    context.textBaseline = "middle";
    const colourAt = taskweb.diverging(theme.diverging), behind = [1, 3, 5].map((i) => parseInt(theme.colours.background.slice(i, i + 2), 16));
    rows.forEach((target, i) => columns.forEach((source, j) => {
      const value = web.value(choice.score, web.setup, target, source);
      const [x, y] = [left + j * width, top + i * height];
      if (value !== value) {
        if (open(target, source)) { context.fillStyle = theme.colours.missing; context.fillRect(x, y, width - gap, height - gap); }
        return;
      }
      const solid = choice.fading ? taskweb.solidity(web.value("harm", web.setup, target, source)) : 1;
      const pure = colourAt((value - middle) / limit), colour = [0, 0, 0];
      for (let k = 0; k < 3; k++) colour[k] = Math.round(pure[k] * solid + behind[k] * (1 - solid));
      context.fillStyle = `rgb(${colour})`;
      context.fillRect(x, y, width - gap + (gap ? 0 : 0.5), height - gap + (gap ? 0 : 0.5));
      if (written) {
        const light = (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255;
        context.fillStyle = light > 0.55 ? "#182026" : "#ffffff";
        context.fillText(short(value), x + (width - gap) / 2, y + (height - gap) / 2 + 0.5);
      }
    }));
  }

  function names(context, colours, font) {
    const { columns, rows, labels, labelled, width, height, top, left } = layout, most = layout.wide ? 150 : 96;
    context.fillStyle = colours.text;
    context.textBaseline = "middle";
    if (labelled.targets) {
      context.font = font(Math.min(12, height));
      context.textAlign = "right";
      labels.targets.forEach((text, i) => context.fillText(taskweb.fitted(context, text, most), left - 6, top + (i + 0.5) * height));
    }
    if (labelled.sources) {
      context.font = font(Math.min(12, width));
      context.textAlign = "left";
      if (layout.flat) context.textAlign = "center";
      labels.sources.forEach((text, j) => {
        context.save();
        context.translate(left + (j + 0.5) * width - (layout.flat || layout.turned ? 0.5 : 4), top - (layout.flat ? 10 : 5));
        context.rotate(layout.flat ? 0 : layout.turned ? -Math.PI / 2 : -0.87);
        context.fillText(taskweb.fitted(context, text, most), 0, 0);
        context.restore();
      });
    }
    caption.textContent = `Columns are sources, rows are targets.${labelled.sources && labelled.targets ? "" : " Point at a cell to see its names, or filter sources and targets."}`;
    if (left + columns.length * width > frame.clientWidth + 1) caption.textContent += ` Scroll sideways to see all ${columns.length.toLocaleString("en-GB")} sources.`;
    if (choice.order !== "category") return;
    const runs = (list, positions) => list.reduce((found, i, at) => {
      const category = web.categories[positions[i]], last = found[found.length - 1];
      if (last && last.category === category) last.end = at + 1;
      else found.push({ category, start: at, end: at + 1 });
      return found;
    }, []);
    const [across, down] = [runs(columns, web.sources), runs(rows, web.targets)];
    context.strokeStyle = colours.muted;
    context.lineWidth = 1;
    context.beginPath();
    for (const { start } of across.slice(1)) { const x = left + start * width - 0.5; context.moveTo(x, top - 4); context.lineTo(x, top + rows.length * height); }
    for (const { start } of down.slice(1)) { const y = top + start * height - 0.5; context.moveTo(left - 4, y); context.lineTo(left + columns.length * width, y); }
    context.stroke();
    if (layout.grouped) {
      context.fillStyle = colours.muted;
      context.font = font(12);
      context.textAlign = "left";
      for (const { category, start, end } of down) context.fillText(category, left + columns.length * width + 8, top + ((start + end) / 2) * height);
    } else caption.textContent += ` From the top: ${down.map(({ category, start, end }) => `${category} (${end - start})`).join(", ")}.`;
  }

  // Whether a pair could have been measured, but was not.
  const open = (target, source) => {
    const value = web.value(choice.score, web.setup, target, source);
    return value !== value && web.sources[source] !== web.targets[target];
  };
  const gaps = () => layout.rows.some((target) => layout.columns.some((source) => open(target, source)));

  // What the ends of the colours are called, and the unit.
  function ends() {
    const { unit, short, middle } = taskweb.scores[choice.score];
    if (choice.score === "pm") return { low: "0", high: "100", unit };
    const limit = web.limit(choice.score), standardised = web.scale === "zscore" && choice.score === "t" ? ", standardised" : "";
    return { low: short(middle - limit), high: short(middle + limit), unit: unit + standardised };
  }

  function explain(theme) {
    const { low, high, unit } = ends(), bar = make("span", { className: "bar" });
    bar.style.background = `linear-gradient(to right, ${theme.diverging.join(", ")})`;
    const beyond = choice.score === "pm" ? "" : "; beyond the ends the colour stays the same";
    legend.replaceChildren(make("span", { className: "scale" }, `harm ${low} `, bar, ` ${high} gain`), make("span", { textContent: unit + beyond }));
    if (choice.fading) {
      const swatch = (harm, text) => {
        const box = make("span", { className: "swatch" });
        box.style.background = theme.colours.gain;
        box.style.opacity = taskweb.solidity(harm);
        return make("span", { className: "scale" }, box, text);
      };
      legend.append(make("span", { className: "scale" }, "probability of harm ", swatch(0.5, "50%"), swatch(0.2, "20% or 80%"), swatch(0.02, "2% or 98%")));
    }
    if (gaps()) {
      const box = make("span", { className: "swatch" });
      box.style.background = theme.colours.missing;
      legend.append(make("span", { className: "scale" }, box, "not measured"));
    }
  }

  function show(i, j, touch) {
    at = [i, j];
    const box = canvas.getBoundingClientRect(), { left, top, width, height } = layout;
    mark(i, j);
    taskweb.tooltip.show(taskweb.pairFacts(web, web.setup, layout.rows[i], layout.columns[j]), ...(touch || [box.left + left + (j + 1) * width, box.top + top + (i + 1) * height]));
  }

  const frameOf = make("div", { className: "cell" });
  frameOf.hidden = true;
  frame.append(frameOf);
  function mark(i, j) {
    const { left, top, width, height } = layout;
    Object.assign(frameOf.style, { left: `${left + j * width - 2}px`, top: `${top + i * height - 2}px`, width: `${width + 3}px`, height: `${height + 3}px` });
    frameOf.hidden = false;
  }

  function hide() {
    frameOf.hidden = true;
    taskweb.tooltip.hide();
  }

  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const [i, j] = [Math.floor((event.clientY - box.top - layout.top) / layout.height), Math.floor((event.clientX - box.left - layout.left) / layout.width)];
    if (i >= 0 && j >= 0 && i < layout.rows.length && j < layout.columns.length) show(i, j, [event.clientX, event.clientY]);
    else hide();
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", hide);
  canvas.addEventListener("blur", hide);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Escape") return hide();
    if (!step || !layout.rows.length || !layout.columns.length) return undefined;
    event.preventDefault();
    const last = [layout.rows.length - 1, layout.columns.length - 1];
    const [i, j] = at ? at.map((place, k) => Math.max(0, Math.min(last[k], place + step[k]))) : [0, 0];
    return show(i, j);
  });

  const setup = () => { sentence.textContent = settings.sentences[web.setup]; at = null; draw(); };
  web.onSetup(() => layout && setup());
  taskweb.onTheme(() => layout && draw());
  taskweb.whenSeen(body, () => {
    setup();
    let width = frame.clientWidth;
    new ResizeObserver(() => {
      if (Math.abs(frame.clientWidth - width) <= 8) return;
      width = frame.clientWidth;
      draw();
    }).observe(frame);
  });
};

// A name on one line, without characters that turn text around, no longer than wanted.
taskweb.label = (text) => taskweb.shortened(text.slice(0, 200).replace(/[\s\u200b-\u200f\u202a-\u202e\u2066-\u2069]+/g, " "), 40);

taskweb.fitted = function (context, text, most) {
  if (context.measureText(text).width <= most) return text;
  const letters = Array.from(text);
  while (letters.length > 1 && context.measureText(`${letters.join("")}…`).width > most) letters.pop();
  return `${letters.join("")}…`;
};
