// Small figures: an interval with its middle around zero, a bar from zero, a bar of shares.

import { make, percent, svg } from "./dom.js";

const WIDTH = 200;

// A function from values to places, with some room at both ends.
function scale(low, high) {
  const room = (high - low || 1) * 0.04;
  return (value) => (WIDTH * (value - low + room)) / (high - low + 2 * room);
}

function figure(height, ...parts) {
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...parts);
}

function dot(at, isGain) {
  return svg("rect", { x: at - 2, y: 4, width: 4, height: 12, rx: 1, class: isGain ? "gain" : "harm" });
}

// The predicted gain of a source of a ranking, null where there is none.
export function gainOf(source) {
  const is = typeof source.gain === "number" && typeof source.gain_low === "number";
  return is ? { gain: source.gain, low: source.gain_low, high: source.gain_high } : null;
}

// Gains with intervals, on one scale for all of them.
export function intervals(gains) {
  const known = gains.filter((gain) => gain !== null);
  const place = scale(Math.min(0, ...known.map((gain) => gain.low)), Math.max(0, ...known.map((gain) => gain.high)));
  return gains.map((gain) => {
    if (gain === null) return make("span", {}, "");
    const middle = place(gain.gain);
    const bar = figure(
      20,
      svg("line", { class: "zero", x1: place(0), x2: place(0), y1: 0, y2: 20 }),
      svg("line", { class: "range", x1: place(gain.low), x2: place(gain.high), y1: 10, y2: 10 }),
      dot(middle, gain.gain > 0),
    );
    const range = `${percent(gain.low).replace("%", "")} to ${percent(gain.high)}`;
    return make("div", {}, make("div", { class: "value" }, percent(gain.gain), make("span", {}, range)), bar);
  });
}

// Values as bars that begin at zero, on one scale.
export function bars(values, words) {
  const known = values.filter((value) => value !== null);
  const place = scale(Math.min(0, ...known), Math.max(0, ...known));
  return values.map((value, i) => {
    if (value === null) return make("span", {}, "");
    const [from, to] = [place(0), place(value)].sort((a, b) => a - b);
    const bar = figure(
      20,
      svg("rect", { x: from, y: 4, width: to - from, height: 12, class: value > 0 ? "gain" : "harm" }),
      svg("line", { class: "zero", x1: place(0), x2: place(0), y1: 0, y2: 20 }),
    );
    return make("div", {}, make("div", { class: "value" }, words[i]), bar);
  });
}

// Parts of a whole, as [share, class].
export function shares(parts) {
  let at = 0;
  const boxes = parts.map(([share, kind]) => {
    const box = svg("rect", { x: at, y: 0, width: share * WIDTH, height: 8, class: kind });
    at += share * WIDTH;
    return box;
  });
  return figure(8, svg("rect", { x: 0, y: 0, width: WIDTH, height: 8, class: "track" }), ...boxes);
}
