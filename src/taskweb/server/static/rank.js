// The page that ranks: examples in, a recommendation and the table out.

import { bars, gainOf, intervals } from "./bars.js";
import { setUpComparison } from "./compare.js";
import { ask, fill, find, make, named, percent, request, show, shown, table } from "./dom.js";
import { showReasons } from "./reasons.js";

const PAUSE = 450; // milliseconds without typing before a ranking is asked for
const SAMPLE = [
  "The waiter brought the wrong dish twice and never apologised.",
  "Cosy place, friendly people, and the soup was wonderful.",
  "We waited an hour for cold pasta.",
  "I would come back just for the dessert.",
  "Loud, crowded, and far too expensive for what you get.",
  "The staff remembered us from last year, which made our evening.",
].map((text) => JSON.stringify({ input: text, choices: ["negative", "positive"] })).join("\n");
const MOST_AVOIDED = 5;
const MOST_OF_NAME = 200; // characters of a file's name that are sent, its ending among them
const TOOLS = { "llama-factory": "LLaMA-Factory", axolotl: "axolotl", "open-instruct": "open-instruct" };

const state = { file: null, found: null, options: null, k: null, asked: null, timer: 0 };

// What is asked: the parameters, and the examples as the body.
function question(further = {}) {
  const given = new URLSearchParams();
  const task = find("task").value;
  const values = {
    task,
    unseen: task && find("unseen").checked ? "true" : "",
    setup: find("setup").value,
    selector: find("selector").value,
    file: task ? "" : [...(state.file?.name ?? "")].slice(-MOST_OF_NAME).join(""),
    name: task ? "" : find("name").value,
    format: task || find("format").value === "auto" ? "" : find("format").value,
    output_column: find("output-column").value,
    choices_column: find("choices-column").value,
    answers_are: find("answers-are").value,
    examples: find("examples").value,
    ...further,
  };
  for (const [key, value] of Object.entries(values)) {
    if (value !== "" && value !== null) given.set(key, String(value));
  }
  for (const column of find("input-column").value.split(",")) {
    if (column.trim()) given.append("input_column", column.trim());
  }
  const body = task ? "" : state.file || find("text").value;
  return [given, { method: "POST", body, headers: { "content-type": "application/octet-stream" } }];
}

function hasQuestion() {
  return find("task").value !== "" || state.file !== null || find("text").value.trim() !== "";
}

function later(pause = PAUSE) {
  if (state.options === null) return; // the page is not ready; it asks when it is
  clearTimeout(state.timer);
  state.timer = setTimeout(rank, pause);
}

async function rank() {
  state.asked?.abort();
  show("clear", state.file !== null || find("text").value !== "");
  if (!hasQuestion()) {
    fill("error");
    state.found = null;
    render();
    return;
  }
  const asked = new AbortController();
  state.asked = asked;
  find("results").setAttribute("aria-busy", "true");
  try {
    const [parameters, options] = question();
    const found = await ask(`/api/rank?${parameters}`, { ...options, signal: asked.signal });
    fill("error");
    state.found = found;
    state.k = null;
    render();
  } catch (fault) {
    if (fault.name === "AbortError") return;
    fill("error", shown(fault.message, 2000));
    fill("read");
    state.found = null;
    render();
  } finally {
    if (state.asked === asked) find("results").removeAttribute("aria-busy");
  }
}

function chosen() {
  return state.k === null ? state.found.recommendation.suggested_k : state.k;
}

function render() {
  const found = state.found;
  show("empty", found === null);
  show("ranked", found !== null);
  if (found === null) {
    if (!find("error").textContent) fill("read");
    show("samples", false);
    return;
  }
  renderReading(found.reading);
  renderChoice();
  const said = found.ranking.doubt?.advice ?? []; // stands in the recommendation
  fill("notes", ...found.ranking.notes.filter((note) => !said.includes(note)).map((note) => make("li", {}, shown(note, 1000))));
  show("compared", false);
}

function renderReading(reading) {
  show("samples", reading !== null);
  if (reading === null) {
    fill("read");
    return;
  }
  const count = `${reading.used} example${reading.used === 1 ? "" : "s"} used. `;
  fill("read", make("strong", {}, count), "Read as ", shown(reading.line, 1000), ".");
  fill("sample-rows", ...reading.examples.map((one) => make("div", { class: "sampled" }, ...sampled(one))));
}

function sampled(one) {
  const parts = [["input", one.input], ["choices", one.choices === null ? "" : one.choices.join(" | ")], ["answer", one.answer]];
  return parts.filter(([, text]) => text).map(([label, text]) => make("div", {}, make("span", {}, label), named(text, 400)));
}

function renderChoice() {
  const { recommendation, ranking } = state.found;
  const k = chosen();
  const taken = ranking.sources.slice(0, k).map((source) => source.task);
  const avoided = recommendation.avoid.filter((task) => !taken.includes(task));
  fill(
    "recommendation",
    ...entry("Train on", "train", taken.length ? listed(taken) : ["nothing but your own examples"]),
    ...(avoided.length ? entry("Avoid", "avoid", listed(avoided, MOST_AVOIDED)) : []),
    ...entry("How sure", "sure", recommendation.sure.map((sentence) => make("p", {}, shown(sentence, 600)))),
  );
  find("k").value = k;
  find("k").max = ranking.sources.length;
  const suggestion = `${recommendation.suggested_k || "None"} suggested: ${recommendation.reason}.`;
  fill("k-reason", shown(suggestion, 400));
  fill("table", sourceTable(ranking, k));
}

function entry(label, kind, parts) {
  return [make("div", { class: "label" }, label), make("div", { class: kind }, ...parts)];
}

function listed(tasks, most = tasks.length) {
  const names = tasks.slice(0, most).flatMap((task, i) => (i ? [", ", named(task, 60)] : [named(task, 60)]));
  return tasks.length > most ? [...names, ` and ${tasks.length - most} more`] : names;
}

function sourceTable(ranking, k) {
  const gains = ranking.sources.map(gainOf);
  const known = gains.some((gain) => gain !== null);
  const measured = ranking.selector === "measured";
  const values = measured ? ranking.sources.map((source) => source.pc ?? null) : ranking.sources.map((source) => source.score);
  const words = values.map((value) => (value === null ? "" : measured ? percent(value) : value.toFixed(3)));
  const spreads = known ? intervals(gains) : bars(values, words);
  const harms = known || measured;
  const heading = known ? "Expected gain, 80% interval" : measured ? "Measured gain" : "Score";
  const rows = ranking.sources.map((source, i) => {
    const kind = [source.rank <= k ? "taken" : "", source.rank === k ? "last" : ""].join(" ").trim();
    return make(
      "tr",
      { class: kind || null },
      make("td", { class: "rank" }, String(source.rank)),
      make("td", { class: "name" }, named(source.task), about(source)),
      make("td", { class: "spread" }, spreads[i], harms ? make("span", { class: "narrow hint" }, onPhone(source, measured)) : null),
      harms ? make("td", { class: "number broad" }, harm(source, measured)) : null,
      ranking.doubt && !measured ? make("td", { class: "number" }, whyButton(source.task)) : null,
    );
  });
  const heads = [make("th", { class: "number", scope: "col", "aria-label": "Rank" }, "#"), "Source", heading];
  if (harms) heads.push(make("th", { class: "number broad", scope: "col" }, measured ? "Seeds that gain" : "Harm"));
  if (ranking.doubt && !measured) heads.push(make("th", { class: "number", scope: "col" }, "Why"));
  return table(heads, rows);
}

function about(source) {
  const text = source.measured ? state.options.about[source.task] : "your own, not measured";
  return text ? make("span", { class: "about" }, shown(text)) : null;
}

function harm(source, measured) {
  const value = measured ? source.pm : source.p_harm;
  if (typeof value !== "number") return "";
  const bad = state.found.recommendation.avoid.includes(source.task);
  return make("span", { class: bad ? "harmful" : null }, `${Math.round(100 * value)}%`);
}

// What a narrow screen shows instead of a column of its own.
function onPhone(source, measured) {
  const value = harm(source, measured);
  return make("span", {}, measured ? "seeds that gain: " : "harm: ", value || "not known");
}

function whyButton(task) {
  const open = async () => {
    const [parameters, options] = question({ explain: task });
    await showReasons(task, () => ask(`/api/rank?${parameters}`, options));
  };
  return make("button", { type: "button", class: "why", "aria-label": `Why ${shown(task, 60)}`, click: open }, "Why");
}

async function download(kind, label) {
  fill("download-status", `Making ${label}.`);
  try {
    const [parameters, options] = question({ k: chosen() });
    const answer = await request(`/api/download/${kind}?${parameters}`, options);
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "")?.[1] || kind;
    const address = URL.createObjectURL(await answer.blob());
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    fill("download-status", `${name} is downloaded.`);
  } catch (fault) {
    fill("download-status", shown(fault.message, 2000));
  }
}

function setUpDownloads(mixes) {
  const button = (kind, label, main = false) =>
    make("button", { type: "button", class: main ? "main" : null, click: () => download(kind, label) }, label);
  const tools = Object.entries(TOOLS).map(([kind, label]) => button(kind, label));
  const mixture = mixes ? [button("mixture", "Mixture with manifest", true)] : [];
  fill("downloads", ...mixture, button("ranking", "Ranking (JSON)", !mixes), ...tools);
  const rows = mixes
    ? "The mixture has the rows of the chosen sources, its manifest, and configurations for trainers."
    : "Configurations name the files that your trainer mixes; put the rows of the sources there. With taskweb ui --sources DIR, you get the whole mixture.";
  fill("download-hint", rows);
}

function choose(id, names, words, selected) {
  fill(id, ...names.map((name) => make("option", { value: name, selected: name === selected }, words(name))));
}

async function takeFile(file) {
  const most = state.options?.limits.megabytes ?? Infinity; // the server checks, too
  if (file.size > most * 1048576) {
    fill("error", `The file is larger than ${most} MiB. Give fewer examples: 32 are enough.`);
    return;
  }
  state.file = new File([await file.arrayBuffer()], file.name);
  find("text").value = "";
  find("text").placeholder = `${shown(file.name, 80)} is read. Type to give texts instead.`;
  find("task").value = "";
  later(0);
}

function setUpGiving() {
  const drop = find("drop");
  find("text").addEventListener("input", () => {
    state.file = null;
    find("text").placeholder = "";
    find("task").value = "";
    show("unseen-label", false);
    later();
  });
  find("file").addEventListener("change", (event) => {
    if (event.target.files.length) takeFile(event.target.files[0]);
    event.target.value = "";
  });
  for (const kind of ["dragover", "dragenter"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    takeFile(event.dataTransfer.files[0]);
  });
  find("sample").addEventListener("click", () => {
    find("text").value = SAMPLE;
    find("text").dispatchEvent(new Event("input"));
  });
  find("clear").addEventListener("click", () => {
    find("text").value = "";
    find("text").dispatchEvent(new Event("input"));
    find("text").focus();
  });
  for (const id of ["name", "input-column", "output-column", "choices-column", "examples"]) find(id).addEventListener("input", () => later());
  for (const id of ["setup", "selector", "format", "answers-are", "unseen"]) find(id).addEventListener("change", () => later(0));
  find("task").addEventListener("change", () => {
    show("unseen-label", find("task").value !== "");
    later(0);
  });
}

function setUpNumber() {
  const take = (k) => {
    if (state.found === null || Number.isNaN(k)) return;
    state.k = Math.max(0, Math.min(k, state.found.ranking.sources.length));
    renderChoice();
  };
  find("fewer").addEventListener("click", () => take(chosen() - 1));
  find("further").addEventListener("click", () => take(chosen() + 1));
  find("k").addEventListener("change", (event) => take(parseInt(event.target.value, 10)));
}

async function begin() {
  state.options = await ask("/api/options");
  const options = state.options;
  choose("setup", options.setups, (name) => (name === "all" ? "mean of all setups" : shown(name)), options.setup);
  choose("selector", options.selectors, (name) => name, options.selector);
  find("task").append(...options.targets.map((task) => make("option", { value: task }, shown(task, 80))));
  choose("answers-are", options.meanings, (name) => (name === "auto" ? "found by the content" : name), "auto");
  find("examples").max = options.limits.examples;
  fill("about", `taskweb ${options.version}, web '${shown(options.web)}'. Nothing that you give leaves this machine.`);
  setUpDownloads(options.mixes);
  setUpComparison(options, question, () => state.found !== null);
  if (find("file").files.length) takeFile(find("file").files[0]); // given before this script ran
  else if (hasQuestion()) later(0); // given before the page was ready, or restored by the browser
}

setUpGiving();
setUpNumber();
begin().catch((fault) => fill("error", shown(fault.message, 2000)));
