// Elements, texts and requests. Whatever comes from data is set as text, never as markup.

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;
const LONGEST = 160;

// A text as people can read it: marks of the writing direction and control characters as escapes, long ones cut.
export function shown(text, longest = LONGEST) {
  const plain = String(text).replace(HIDDEN, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const characters = [...plain];
  return characters.length <= longest ? plain : `${characters.slice(0, longest).join("")}… (${characters.length.toLocaleString("en")} characters)`;
}

export function find(id) {
  return document.getElementById(id);
}

// An element with attributes (functions are listeners) and children (texts or elements).
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

// A name, isolated so that its writing direction changes nothing around it; lines may break after its underscores.
export function named(text, longest = LONGEST) {
  const parts = shown(text, longest).split(/(?<=[_/-])/).flatMap((part, i) => (i ? [make("wbr"), part] : [part]));
  return make("bdi", { title: String(text).length > longest ? shown(text, 2000) : null }, ...parts);
}

export function fill(id, ...children) {
  find(id).replaceChildren(...children.filter((child) => child !== null));
}

export function show(id, visible) {
  find(id).hidden = !visible;
}

export function table(headings, rows) {
  const heads = headings.map((heading) => (heading instanceof Node ? heading : make("th", { scope: "col" }, heading)));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}

export function scroller(label, inner) {
  return make("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": label }, inner);
}

export function percent(value, digits = 1) {
  if (value === null || value === undefined) return "";
  const rounded = (100 * value).toFixed(digits);
  const text = Number(rounded) === 0 ? (0).toFixed(digits) : rounded;
  return `${Number(text) > 0 ? "+" : ""}${text.replace("-", "−")}%`;
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

// The JSON of an address; an Error with one line where there is none.
export async function ask(path, options = {}) {
  const answer = await request(path, options);
  return answer.json();
}

export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Error("The page does not answer. Is taskweb ui still running?");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error || `The page answered with status ${answer.status}.`);
}
