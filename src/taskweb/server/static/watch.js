// The page that watches a plan or refinement: asks for its state every few seconds and shows it.

import { bars, gainOf, intervals, shares } from "./bars.js";
import { ask, duration, fill, find, make, named, percent, scroller, show, shown, table } from "./dom.js";

const PAUSE = 1500; // milliseconds between two looks
const MOST_GAINS = 20;
const LONGEST = 60; // characters of a name

async function look() {
  try {
    const found = await ask("/api/watch");
    fill("error");
    render(found);
  } catch (fault) {
    fill("error", shown(fault.message, 2000));
    if (!find("live").hidden) fill("summary", "The state below is the last one that was read.");
    else fill("summary", "");
  }
  setTimeout(look, document.hidden ? 4 * PAUSE : PAUSE);
}

function render(found) {
  show("live", true);
  fill("title", named(found.name, 80));
  document.title = `taskweb: ${shown(found.name, 60)}`;
  const words = summary(found);
  if (find("summary").textContent !== words) fill("summary", words); // said aloud only when it changes
  if (found.problem) fill("error", shown(found.problem, 1000));
  renderProgress(found);
  fill("scope", scope(found));
  part("running", found.running, runningTable);
  part("failures", found.failures, (runs) => runTable(runs, true));
  part("setups", found.setups.length > 1 ? found.setups : [], setupTable);
  part("ranking", found.ranking ? found.ranking.sources : [], rankingTable);
  fill("transfers", found.transfers.length ? gainTable(found.transfers) : hint("No pair has a score and a baseline yet."));
  fill("latest", found.latest.length ? runTable(found.latest, false) : hint("No run has ended yet."));
}

function hint(text) {
  return make("p", { class: "hint" }, text);
}

function done(found) {
  return found.counts.finished + found.counts.failed + found.counts.diverged;
}

function summary(found) {
  const count = done(found);
  if (found.total === null) return `${plural(count, "run")} so far${found.workers ? `, ${plural(found.workers, "worker")} at work` : ", no worker at work on this machine"}.`;
  const left = found.left === 0 ? "the plan is done" : found.seconds_left === null ? `${plural(found.left, "run")} left` : `${plural(found.left, "run")} left, about ${duration(found.seconds_left)}`;
  return `${count.toLocaleString("en")} of ${plural(found.total, "run")} done: ${left}.`;
}

// Whose runs are shown.
function scope(found) {
  if (found.kind === "refinement") return "Shown are the runs of this refinement.";
  if (found.plan === null) return `Shown are all runs of the store, whichever plan they are of${found.problem ? ", as the plan cannot be read" : ""}.`;
  const others = found.others ? ` The store has ${plural(found.others, "run")} of other plans, not shown here.` : "";
  return make("span", {}, "Shown are the runs of the plan ", named(found.plan, LONGEST), `.${others}`);
}

function plural(count, what) {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

function renderProgress(found) {
  show("progress", found.total !== null);
  const { finished, failed, diverged } = found.counts;
  if (found.total) fill("progress", shares([[finished / found.total, "gain"], [(failed + diverged) / found.total, "harm"]]));
  const facts = [["Finished", finished], ["Failed", failed + diverged, failed + diverged > 0], ["Running", found.running.length]];
  if (found.missing !== null) facts.push(["Missing", found.missing]);
  if (found.seconds_left !== null && found.left) facts.push(["Time left", duration(found.seconds_left)]);
  if (found.runs_per_hour) facts.push(["Runs per hour", Math.round(found.runs_per_hour)]);
  fill(
    "facts",
    ...facts.map(([label, value, bad]) =>
      make("div", {}, make("dt", {}, label), make("dd", { class: bad ? "harmful" : null }, value.toLocaleString("en"))),
    ),
  );
}

function part(id, rows, build) {
  show(`${id}-part`, rows.length > 0);
  if (rows.length) fill(id, build(rows));
}

function source(run) {
  return run.source === null ? make("td", { class: "name" }, "none (baseline)") : make("td", { class: "name" }, named(run.source, LONGEST));
}

// The target; beneath it, the setup, and the seed of a single run.
function target(run) {
  const seed = run.seed === undefined || run.seed === null ? "" : `, seed ${run.seed}`;
  return make("td", { class: "name" }, named(run.target, LONGEST), make("span", { class: "about" }, named(run.setup, LONGEST), seed));
}

function cell(text) {
  return make("td", { class: "number" }, text);
}

function head(text) {
  return make("th", { class: "number", scope: "col" }, text);
}

function runningTable(runs) {
  const rows = runs.map((run) =>
    make("tr", {}, source(run), target(run), cell(duration(run.seconds))),
  );
  return scroller("Running now", table(["Source", "Target", head("For")], rows));
}

function runTable(runs, failed) {
  const rows = runs.map((run) =>
    make(
      "tr",
      {},
      source(run),
      target(run),
      make("td", { class: failed ? "text" : "number" }, failed ? shown(run.reason || run.status, 400) : outcome(run)),
    ),
  );
  const last = failed ? "Reason" : head("Score");
  return scroller(failed ? "Latest failures" : "Latest runs", table(["Source", "Target", last], rows));
}

function outcome(run) {
  if (run.status !== "finished") return make("span", { class: `status-${run.status}` }, run.status);
  const scores = Object.entries(run.scores).filter(([, value]) => value !== null);
  return scores.map(([name, value]) => `${shown(name, 30)} ${value.toFixed(3)}`).join(", ");
}

function gainTable(transfers) {
  const cut = transfers.length > MOST_GAINS ? [...transfers.slice(0, MOST_GAINS / 2), ...transfers.slice(-MOST_GAINS / 2)] : transfers;
  const drawn = bars(cut.map((one) => one.gain), cut.map((one) => percent(one.gain)));
  const rows = cut.map((one, i) =>
    make("tr", {}, source(one), target(one), make("td", { class: "vote spread" }, drawn[i])),
  );
  const words = cut.length < transfers.length ? `The ${MOST_GAINS / 2} largest and the ${MOST_GAINS / 2} smallest of ${plural(transfers.length, "pair")}.` : "";
  return make("div", {}, hint(words), scroller("Gains so far", table(["Source", "Target", "Mean gain"], rows)));
}

function rankingTable(sources) {
  const gains = intervals(sources.map(gainOf));
  const rows = sources.map((one, i) =>
    make(
      "tr",
      {},
      make("td", { class: "rank" }, String(one.rank)),
      make("td", { class: "name" }, named(one.task, LONGEST), make("span", { class: "about" }, plural(one.runs ?? 0, "run"))),
      make("td", { class: "spread" }, gains[i]),
      cell(typeof one.p_harm === "number" ? `${Math.round(100 * one.p_harm)}%` : ""),
    ),
  );
  return scroller("The ranking after these runs", table([head("#"), "Source", "Expected gain, 80% interval", head("Harm")], rows));
}

function setupTable(setups) {
  const rows = setups.map((one) =>
    make("tr", {}, make("td", { class: "name" }, named(one.setup)), ...[one.finished, one.failed + one.diverged, one.running, one.missing].map((count) => cell(count.toLocaleString("en")))),
  );
  return scroller("By setup", table(["Setup", head("Finished"), head("Failed"), head("Running"), head("Missing")], rows));
}

look();
