// Why a source has its rank: the sentences of the explanation, and the pivots that speak for and against it.

import { bars } from "./bars.js";
import { fill, find, make, named, shown, table } from "./dom.js";

const MOST_PIVOTS = 10;

export async function showReasons(task, load) {
  const dialog = find("reasons");
  fill("reasons-title", "Why ", named(task, 80), "?");
  fill("reasons-body", make("p", { class: "hint" }, "Looking for reasons."));
  if (!dialog.open) dialog.showModal();
  try {
    const found = await load();
    fill("reasons-body", ...parts(found.ranking.explanation));
  } catch (fault) {
    fill("reasons-body", make("p", { class: "error" }, shown(fault.message, 2000)));
  }
}

function parts(explanation) {
  const words = explanation.words.map((text, i) => make("li", {}, shown(sentence(text, i), 1200)));
  const found = [make("ul", { class: "reasons" }, ...words)];
  const pivots = explanation.pivots.slice(0, MOST_PIVOTS);
  if (pivots.length) {
    const votes = bars(pivots.map((pivot) => pivot.vote), pivots.map((pivot) => (pivot.vote > 0 ? "for" : "against")));
    const rows = pivots.map((pivot, i) =>
      make(
        "tr",
        {},
        make("td", { class: "name" }, named(pivot.task)),
        make("td", { class: "number" }, `${Math.round(100 * pivot.weight)}%`),
        make("td", { class: "number" }, signed(pivot.transfer)),
        make("td", { class: "vote spread" }, votes[i]),
      ),
    );
    const heads = ["Similar task", number("Weight"), number("Transfer T"), "Speaks"];
    found.push(make("h3", {}, "What it did for similar tasks"), table(heads, rows));
  }
  return found;
}

// The first sentence begins with the name of the source.
function sentence(text, i) {
  return `${i ? text[0].toUpperCase() + text.slice(1) : text}.`;
}

function signed(value) {
  return `${value > 0 ? "+" : ""}${value.toFixed(3)}`.replace("-", "−");
}

function number(text) {
  return make("th", { class: "number", scope: "col" }, text);
}

find("reasons-close").addEventListener("click", () => find("reasons").close());
find("reasons").addEventListener("click", (event) => {
  if (event.target === find("reasons")) find("reasons").close();
});
