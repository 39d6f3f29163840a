// Tables of any page: sorted by a click on a column, filtered by a text, and only as long as wanted.
"use strict";

// Digits behind the point that suit all numbers of a column: those of its largest.
taskweb.digits = function (values) {
  const known = values.filter((value) => typeof value === "number");
  if (known.every(Number.isInteger)) return 0;
  const size = known.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.01 ? 3 : size >= 0.001 ? 4 : 5;
};

taskweb.number = function (value, digits = taskweb.digits([value])) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value !== "number") return String(value);
  return value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
};

// How numbers of a column are shown where their form is known (`Form` in figure.py): fractions as percent.
taskweb.forms = {
  gain: (value) => `${taskweb.signed(100 * value, 1)}%`,
  share: (value) => `${Math.round(100 * value)}%`,
  probability: (value) => taskweb.probability(value),
  part: (value) => `${(100 * value).toFixed(1)}%`,
  points: (value) => taskweb.signed(100 * value, 1),
};

taskweb.signed = function (value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
};

// A probability, which the page has in steps of 0.4%: 0 and 1 are rounded ones.
taskweb.probability = (share) => (share < 0.005 ? "below 1%" : share > 0.995 ? "above 99%" : `${Math.round(100 * share)}%`);

// A cell that spreadsheets cannot take for a formula, quoted where it must be.
taskweb.csvCell = function (value) {
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

taskweb.csv = (table) => [table.columns, ...table.rows].map((row) => row.map(taskweb.csvCell).join(",")).join("\n") + "\n";

taskweb.drawTable = function (element, table, name, step = 50) {
  const { element: make } = taskweb;
  const numeric = table.columns.map((_column, i) => table.rows.every((row) => row[i] === null || typeof row[i] === "number"));
  const digits = table.columns.map((_column, i) => taskweb.digits(table.rows.map((row) => row[i])));
  const written = table.columns.map((column, i) => {
    const form = taskweb.forms[(table.forms || {})[column]];
    return (cell) => (form && typeof cell === "number" ? form(cell) : taskweb.number(cell, digits[i]));
  });
  let shown = step, sortedBy = -1, down = false, filter = "";
  const status = make("p", { className: "status", role: "status" });
  const body = make("tbody");
  const headers = table.columns.map((column, i) =>
    make("th", { scope: "col", className: numeric[i] ? "number" : "" }, make("button", { type: "button", textContent: column, onclick: () => sort(i) }))
  );
  const more = make("button", { type: "button", textContent: "Show more", onclick: () => { shown += 10 * step; draw(); } });
  const search = make("input", { type: "search", oninput: () => { filter = search.value.trim().toLowerCase(); shown = step; draw(); } });
  const scroller = make("div", { className: "scroller", tabIndex: 0, role: "region" },
    make("table", {}, make("thead", {}, make("tr", {}, ...headers)), body));
  scroller.setAttribute("aria-label", `Table: ${name.replaceAll("-", " ")}`);
  element.replaceChildren(...(table.rows.length > 12 ? [make("label", { className: "filter" }, "Filter ", search)] : []), scroller, status, more);

  function sort(i) {
    down = sortedBy === i ? !down : numeric[i];
    sortedBy = i;
    draw();
  }

  function compared(a, b) {
    const [x, y] = [a[sortedBy], b[sortedBy]];
    if (x === null || y === null) return (x === null) - (y === null); // missing ones last, in both directions
    const order = numeric[sortedBy] ? x - y : String(x).localeCompare(String(y));
    return down ? -order : order;
  }

  function draw() {
    let rows = table.rows;
    if (filter) rows = rows.filter((row) => row.some((cell) => typeof cell === "string" && cell.toLowerCase().includes(filter)));
    if (sortedBy >= 0) rows = [...rows].sort(compared);
    headers.forEach((header, i) => (i === sortedBy ? header.setAttribute("aria-sort", down ? "descending" : "ascending") : header.removeAttribute("aria-sort")));
    body.replaceChildren(
      ...rows.slice(0, shown).map((row) =>
        make("tr", {}, ...row.map((cell, i) => make("td", { className: numeric[i] ? "number" : "" }, make("bdi", { textContent: taskweb.shortened(written[i](cell), 200) }))))
      )
    );
    const seen = Math.min(shown, rows.length);
    status.textContent = rows.length === table.rows.length && seen === rows.length ? "" : `${seen.toLocaleString("en-GB")} of ${rows.length.toLocaleString("en-GB")} rows`;
    more.hidden = seen === rows.length;
  }
  draw();
};
