// A drawing context that keeps what is drawn as SVG: as much of a canvas's as the heatmap uses.
"use strict";

// measuring: a canvas's context, which measures texts.
taskweb.svgContext = function (measuring, width, height) {
  const make = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const short = (value) => String(Math.round(100 * value) / 100);
  const anchors = { left: "start", center: "middle", right: "end" };
  const boxes = new Map(), texts = [], lines = [];
  let at = { x: 0, y: 0, turn: 0 }, saved = [], path = "";
  return {
    fillStyle: "", strokeStyle: "", lineWidth: 1, font: "", textAlign: "left", textBaseline: "middle",
    measureText(text) {
      measuring.font = this.font;
      return measuring.measureText(text);
    },
    save: () => saved.push({ ...at }),
    restore: () => { at = saved.pop(); },
    translate: (x, y) => { at = { ...at, x: at.x + x, y: at.y + y }; },
    rotate: (angle) => { at = { ...at, turn: (180 * angle) / Math.PI }; },
    // One shape for all boxes of a colour, so that many cells stay a small file.
    fillRect(x, y, across, down) {
      const box = `M${short(x)} ${short(y)}h${short(across)}v${short(down)}h${short(-across)}z`;
      if (!boxes.has(this.fillStyle)) boxes.set(this.fillStyle, []);
      boxes.get(this.fillStyle).push(box);
    },
    fillText(text, x, y) {
      const turned = at.x || at.y || at.turn ? { transform: `translate(${short(at.x)} ${short(at.y)}) rotate(${short(at.turn)})` } : {};
      const [, pixels, family] = /^([\d.]+)px (.*)$/.exec(this.font);
      const node = make("text", { x: short(x), y: short(y), dy: "0.35em", fill: this.fillStyle, "text-anchor": anchors[this.textAlign], "font-size": short(Number(pixels)), "font-family": family, ...turned });
      node.textContent = text;
      texts.push(node);
    },
    beginPath: () => { path = ""; },
    moveTo: (x, y) => { path += `M${short(x)} ${short(y)}`; },
    lineTo: (x, y) => { path += `L${short(x)} ${short(y)}`; },
    stroke() {
      if (path) lines.push(make("path", { d: path, fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth }));
    },
    // The drawing; described: what it shows, in words.
    svg(described) {
      const found = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
      const title = make("title", {});
      title.textContent = described;
      found.append(title, ...[...boxes].map(([fill, shapes]) => make("path", { fill, d: shapes.join("") })), ...lines, ...texts);
      return found;
    },
  };
};
