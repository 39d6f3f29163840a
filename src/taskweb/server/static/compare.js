// Rankings by several selectors or in several setups, side by side.

import { ask, fill, find, make, named, scroller, show, shown, table } from "./dom.js";

const FIRST = 5;
const USUAL = ["blend", "taskshop", "roe", "popularity"];

export function setUpComparison(options, question, hasRanking) {
  fill("compare-selectors", ...options.selectors.map((name) => check("selector", name, USUAL.includes(name))));
  fill("compare-setups", ...options.setups.map((name) => check("setup", name, name === options.setup)));
  const count = () => fill("compare-count", shown(checked("setup").map(setupWords).join(", ") || "none", 300));
  find("compare-setups").addEventListener("change", count);
  count();
  find("compare").addEventListener("click", async () => {
    if (!hasRanking()) return;
    const [parameters, asked] = question({ setup: "", selector: "" });
    for (const name of checked("selector")) parameters.append("selectors", name);
    for (const name of checked("setup")) parameters.append("setups", name);
    find("compare").disabled = true;
    try {
      const found = await ask(`/api/compare?${parameters}`, asked);
      fill("compare-error");
      render(found.rankings);
    } catch (fault) {
      fill("compare-error", shown(fault.message, 2000));
      show("compared", false);
    }
    find("compare").disabled = false;
  });
}

function check(kind, name, isChecked) {
  const words = kind === "setup" ? setupWords(name) : shown(name);
  return make("label", {}, make("input", { type: "checkbox", "data-kind": kind, value: name, checked: isChecked }), words);
}

function setupWords(name) {
  return name === "all" ? "mean of all setups" : shown(name);
}

function checked(kind) {
  return [...document.querySelectorAll(`input[data-kind=${kind}]:checked`)].map((box) => box.value);
}

function render(rankings) {
  const places = rankings.map((one) => new Map(one.ranking.sources.map((source) => [source.task, source.rank])));
  const order = [...new Set(rankings.flatMap((one) => one.ranking.sources.map((source) => source.task)))];
  const rows = order.map((task) =>
    make("tr", {}, make("td", { class: "name" }, named(task)), ...places.map((place) => cell(place.get(task)))),
  );
  const several = new Set(rankings.map((one) => one.setup)).size > 1;
  const heading = (one) => make("th", { scope: "col", class: "place" }, one.selector, several ? make("span", {}, setupWords(one.setup)) : null);
  const heads = ["Source", ...rankings.map(heading)];
  fill("compared", make("p", {}, sentence(rankings)), scroller("Ranks side by side", table(heads, rows)));
  show("compared", true);
}

function cell(rank) {
  return make("td", { class: rank <= FIRST ? "place first" : "place" }, rank === undefined ? "" : String(rank));
}

// How many of the first sources all rankings share.
function sentence(rankings) {
  const firsts = rankings.map((one) => one.ranking.sources.slice(0, FIRST).map((source) => source.task));
  const shared = firsts[0].filter((task) => firsts.every((tasks) => tasks.includes(task)));
  if (rankings.length < 2) return "Choose a second selector or setup to compare with.";
  const names = shared.length ? `: ${shared.map((task) => shown(task, 60)).join(", ")}` : "";
  return `${shared.length} of the first ${FIRST} are the same in all ${rankings.length} rankings${names}.`;
}
