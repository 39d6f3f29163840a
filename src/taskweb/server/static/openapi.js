// The addresses of the API, from openapi.json.

import { ask, fill, make, scroller, shown, table } from "./dom.js";

function parameterRow(parameter) {
  const known = parameter.required ? "required" : defaultOf(parameter.schema);
  const about = [kind(parameter.schema), known].filter(Boolean).join(", ");
  return make(
    "tr",
    {},
    make("td", { class: "name" }, make("code", {}, shown(parameter.name)), make("span", { class: "about" }, shown(about))),
    make("td", { class: "text" }, shown(parameter.description || "", 300)),
  );
}

function defaultOf(schema) {
  const value = schema.default;
  return value === undefined || value === "" || Array.isArray(value) ? "" : `${value} without it`;
}

function kind(schema) {
  if (schema.anyOf) return schema.anyOf.map((one) => one.type).filter((type) => type !== "null").join(" or ");
  return schema.type === "array" ? "repeatable text" : schema.type === "string" ? "text" : schema.type || "";
}

function address(path, method, entry) {
  const title = make("h2", {}, make("span", {}, method.toUpperCase()), make("code", {}, path));
  const parameters = entry.parameters || [];
  const rows = parameters.length ? scroller(`Parameters of ${path}`, table(["Parameter", "Meaning"], parameters.map(parameterRow))) : null;
  const body = entry.requestBody ? make("p", { class: "hint" }, "The body is the examples: text, or the bytes of a file.") : null;
  return make("section", { class: "address" }, title, make("p", {}, shown(entry.summary || "", 300)), body, rows);
}

const described = await ask("/openapi.json");
const call = `printf 'The soup was cold.\\nWhat a lovely evening!\\n' | \\\n  curl --data-binary @- '${location.origin}/api/rank?selector=blend'`;
fill("call", call);
fill(
  "addresses",
  ...Object.entries(described.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, entry]) => address(path, method, entry))),
);
