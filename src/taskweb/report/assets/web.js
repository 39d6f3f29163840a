// The web of a page: its scores by setup, and what its views share: the chosen setup, colours, tables and controls.
"use strict";

taskweb.views = {};

taskweb.openWeb = function (data) {
  // Loops, as a function call for each of some ten million bytes takes seconds.
  const numbers = ({ data: text, step }) => {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    if (!step) return new Float32Array(bytes.buffer);
    const found = new Float32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) found[i] = bytes[i] === 255 ? NaN : bytes[i] * step;
    return found;
  };
  const arrays = Object.fromEntries(Object.entries(data.arrays).map(([name, text]) => [name, numbers(text)]));
  const baseline = data.baseline === null ? null : numbers(data.baseline);
  const [targets, sources] = [data.targets.length, data.sources.length];
  const listeners = [];
  const web = {
    ...data,
    setup: 0,
    has: (name) => name in arrays,
    // A score by positions in `setups`, `targets` and `sources`; NaN where there is none.
    value: (name, setup, target, source) => (arrays[name] ? arrays[name][(setup * targets + target) * sources + source] : NaN),
    baselineOf: (setup, target) => (baseline ? baseline[setup * targets + target] : NaN),
    categoryNames: data.orders.category ? [...new Set(data.orders.category.map((task) => data.categories[task]))] : [],
    several: data.setups.length > 1,
    sourceName: (source) => data.tasks[data.sources[source]],
    targetName: (target) => data.tasks[data.targets[target]],
    chooseSetup(setup) {
      web.setup = setup;
      listeners.forEach((act) => act());
    },
    onSetup: (act) => listeners.push(act),
    // The largest size of a score that colours still distinguish, of 20 pairs one is larger: one for all setups, one for their mean.
    limits: {},
    limit(name) {
      if (!web.has(name)) return 1;
      const mean = web.several && web.setup === 0, key = `${name} ${mean}`;
      if (!(key in web.limits)) {
        const pairs = targets * sources, [from, to] = mean ? [0, pairs] : [web.several ? pairs : 0, arrays[name].length];
        const sizes = arrays[name].slice(from, to).filter((value) => value === value).map(Math.abs).sort();
        web.limits[key] = sizes[Math.floor(0.95 * (sizes.length - 1))] || sizes[sizes.length - 1] || 1;
      }
      return web.limits[key];
    },
  };
  return web;
};

// How scores are called, written and coloured: `middle` is no effect.
taskweb.scores = {
  t: { label: "T", middle: 0, text: (value) => taskweb.signed(value, 3), short: (value) => taskweb.signed(100 * value, 0), unit: "T × 100" },
  pc: { label: "PC", middle: 0, text: (value) => `${taskweb.signed(100 * value, 1)}%`, short: (value) => taskweb.signed(100 * value, 0), unit: "PC in %" },
  pm: { label: "PM", middle: 0.5, text: (value) => `${Math.round(100 * value)}%`, short: (value) => String(Math.round(100 * value)), unit: "PM in %" },
};

// The colours between harm and gain, as a function of places from -1 to 1: red, green and blue, to be mixed further.
taskweb.diverging = function (stops) {
  const STEPS = 1024, channels = stops.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const colours = Array.from({ length: STEPS + 1 }, (_step, i) => {
    const place = (i / STEPS) * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(place));
    return channels[low].map((channel, k) => Math.round(channel + (place - low) * (channels[low + 1][k] - channel)));
  });
  return (at) => colours[Math.round(((Math.max(-1, Math.min(1, at)) + 1) / 2) * STEPS)];
};

// How solid a cell is: 1 where its sign is sure, little where the probability of harm is near a half. Unknown ones fade nothing.
taskweb.solidity = (harm) => (harm === harm ? 0.18 + 0.82 * Math.min(1, Math.max(0, (Math.abs(harm - 0.5) - 0.1) / 0.375)) : 1);

// What is known of a pair, as rows of a tooltip.
taskweb.pairFacts = function (web, setup, target, source) {
  const of = (name) => web.value(name, setup, target, source);
  const rows = [["source", web.sourceName(source)], ["target", web.targetName(target)]];
  if (web.several) rows.push(["setup", web.setups[setup]]);
  if (of("t") !== of("t")) return [...rows, ["", web.sources[source] === web.targets[target] ? "a task is not its own source" : "not measured"]];
  const percent = (value) => taskweb.scores.pc.text(value);
  if (of("pc") === of("pc")) {
    rows.push(["PC, mean gain", percent(of("pc"))]);
    if (of("reach") === of("reach")) rows.push(["95% interval", `${percent(of("pc") - of("reach"))} to ${percent(of("pc") + of("reach"))}`]);
  }
  if (of("pm") === of("pm")) rows.push(["PM, share of gains", taskweb.scores.pm.text(of("pm"))]);
  rows.push(["T", taskweb.scores.t.text(of("t"))]);
  if (of("harm") === of("harm")) rows.push(["probability of harm", taskweb.probability(of("harm"))]);
  if (of("score") === of("score")) {
    const before = web.baselineOf(setup, target);
    rows.push(["score", taskweb.number(of("score")) + (before === before ? ` (baseline ${taskweb.number(before)})` : "")]);
  }
  if (of("setups") > 1) rows.push(["setups", taskweb.number(of("setups"))]);
  if (of("runs") === of("runs")) rows.push([of("setups") > 1 ? "runs" : "seeds", taskweb.number(of("runs"))]);
  return rows;
};

// All measured pairs of a setup as a table; keep: which ones, by target and source.
taskweb.pairTable = function (web, setup, keep = () => true) {
  const names = ["t", "pc", "pm"].filter(web.has), known = web.has("harm") ? ["low", "high", "probability of harm"] : [];
  const more = ["score", "runs"].filter(web.has);
  const columns = ["source", "target", "setup", ...names.map((name) => taskweb.scores[name].label), ...known, ...more];
  const rows = [];
  const rounded = (value) => (value === value ? Number(value.toPrecision(5)) : null);
  for (let target = 0; target < web.targets.length; target++) {
    for (let source = 0; source < web.sources.length; source++) {
      const of = (name) => web.value(name, setup, target, source);
      if (of("t") !== of("t") || !keep(target, source)) continue;
      const found = known.length ? [of("pc") - of("reach"), of("pc") + of("reach"), of("harm")] : [];
      rows.push([web.sourceName(source), web.targetName(target), web.setups[setup], ...[...names.map(of), ...found, ...more.map(of)].map(rounded)]);
    }
  }
  return { columns, rows, forms: { PC: "gain", PM: "share", low: "gain", high: "gain", "probability of harm": "probability" } };
};

// Controls with a visible label each.
taskweb.choice = function (label, options, chosen, act) {
  const select = taskweb.element("select", { onchange: () => act(select.value) });
  for (const [value, text] of options) select.append(taskweb.element("option", { value, textContent: taskweb.shortened(text, 80), selected: value === chosen }));
  return taskweb.element("label", {}, label, select);
};

taskweb.setupChoice = function (web) {
  const label = taskweb.choice("Setup", web.setups.map((name, i) => [String(i), name]), String(web.setup), (value) => web.chooseSetup(Number(value)));
  web.onSetup(() => (label.querySelector("select").value = String(web.setup)));
  label.hidden = !web.several;
  return label;
};

taskweb.searchField = (label, act) => {
  const field = taskweb.element("input", { type: "search", oninput: () => act(field.value.trim().toLowerCase()) });
  return taskweb.element("label", {}, label, field);
};
