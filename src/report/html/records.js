// The numbers of single records, from the embedded data, when an entry is opened.
let parsed = null;
const data = () => (parsed ??= JSON.parse($("#data").textContent));

const digits = (x) => {
  if (x === null || x === undefined) return "–";
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x);
  const size = Math.abs(x);
  return size >= 1e-3 && size < 1e5 ? String(Number(x.toPrecision(4))) : x.toExponential(2);
};
const units = (x, list) => {
  if (x === null || x === undefined) return "–";
  const [factor, unit] = list.find(([factor]) => Math.abs(x) * factor >= 1) ?? list.at(-1);
  return digits(x * factor) + " " + unit;
};
const seconds = (x) => units(x, [[1, "s"], [1e3, "ms"], [1e6, "µs"]]);
const bytes = (x) => units(x, [[1e-9, "GB"], [1e-6, "MB"], [1e-3, "kB"], [1, "B"]]);

function cell(text, value) {
  if (value === null || (value === undefined && text === "–")) return make("td", { class: "x" }, "–");
  return value === undefined ? make("td", {}, text) : make("td", { "data-v": value }, text);
}
function tableOf(title, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  heads.forEach((_, i) => { if (rows.some((row) => row.cells[i].dataset.v !== undefined)) head.cells[i].className = "n"; });
  const table = make("table", { class: "data" }, make("thead", {}, head), make("tbody", {}, ...rows));
  const frame = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table);
  return [table, frame];
}

// Settings as YAML.
function yaml(value, indent = "") {
  const scalar = (x) => (typeof x === "string" && /^[\w./-]+$/.test(x) ? x : JSON.stringify(x));
  return Object.entries(value).map(([name, x]) => {
    if (x !== null && typeof x === "object" && !Array.isArray(x)) return indent + name + ":\n" + yaml(x, indent + "  ");
    if (Array.isArray(x)) return indent + name + ": [" + x.map((y) => JSON.stringify(y)).join(", ") + "]\n";
    return indent + name + ": " + scalar(x) + "\n";
  }).join("");
}
function settings(record) {
  const config = structuredClone(data().config);
  const at = (path) => {
    const parts = path.split(".");
    const last = parts.pop();
    return [parts.reduce((inner, part) => (inner[part] ??= {}), config), last];
  };
  for (const path of record.unset ?? []) { const [inner, last] = at(path); delete inner[last]; }
  for (const [path, value] of Object.entries(record.set ?? {})) { const [inner, last] = at(path); inner[last] = value; }
  return config;
}

// Metrics of one method of one record: [value, low, high, cases, undefined].
const values = (method) => data().metrics.map((_, i) => {
  const found = method[2]?.[i];
  return found ? { value: found[0] ?? null, low: found[1] ?? null, high: found[2] ?? null, cases: found[3] ?? data().cases[i], undefined: found[4] ?? 0 } : null;
});

function recordRows(entry) {
  return entry.records.flatMap((record) => record.m.map((method) => {
    const [at, error, , time, space, residual, iterations, solver, stuck, broken] = method;
    const row = [
      cell(data().names[at]), cell(String(record.seed), record.seed),
      ...values(method).map((found) => {
        if (!found) return cell("–");
        const ends = found.low === null ? "" : " [" + digits(found.low) + ", " + digits(found.high) + "]";
        const missing = found.undefined ? " (" + found.undefined + " of " + found.cases + " undefined)" : "";
        return found.value === null ? make("td", { class: "x" }, "–" + missing) : cell(digits(found.value) + ends + missing, found.value);
      }),
      ...(time ?? [null, null, null]).map((x) => cell(seconds(x), x)),
      ...(space ?? [null, null, null]).map((x) => cell(bytes(x), x)),
      typeof residual === "string" ? cell(residual, Infinity) : cell(digits(residual), residual ?? null), cell(digits(iterations), iterations ?? null), cell(solver ?? "–"),
      cell(String(stuck ?? 0), stuck ?? 0), cell(String(broken ?? 0), broken ?? 0),
      cell(error ? "failed: " + error : "ok"),
    ];
    return make("tr", { "data-m": at }, ...row);
  }));
}
const recordHeads = () => ["Method", "Seed", ...data().titles, "Prepare", "Apply", "Score", "Peak of prepare", "Peak of apply", "Peak of score",
  "Residual", "Iterations", "Solver", "Blocks not converged", "Scores not finite", "Status"];

// A case of a theory report stands in its table already.
function caseRow(i) {
  const row = document.getElementById("k" + i).cloneNode(true);
  row.removeAttribute("id");
  return row;
}

// Fills an entry once; then shows the rows of one method, or all.
function fill(entry, method = null) {
  const own = data().entries[entry.id];
  if (!own) return;
  if (!entry.dataset.filled) {
    entry.dataset.filled = "yes";
    const rows = own.records ? recordRows(own) : own.cases.map(caseRow);
    const title = $("summary", entry).textContent;
    const [table, frame] = tableOf("Numbers: " + title, own.records ? recordHeads() : $$("#cases-table thead th").map((head) => head.textContent), rows);
    entry.append(frame);
    if (rows.length) entry.tools = enhance(table, title); else frame.remove();
    const texts = new Set((own.records ?? []).map((record) => yaml(settings(record))));
    for (const text of texts) {
      const whole = make("details", {}, make("summary", {}, "All settings of " + (texts.size > 1 ? "some of these cells" : "these cells")), make("pre", { tabindex: "0" }, text));
      whole.append(button("Copy", (pressed) => copy(text, pressed)));
      entry.append(whole);
    }
  }
  $(".only", entry)?.remove();
  for (const row of $$("tr[data-m]", entry)) row.hidden = method !== null && Number(row.dataset.m) !== method;
  if (method !== null && entry.tools) {
    const only = make("span", { class: "only" }, "Only " + data().names[method] + ". ", button("Show all methods", () => fill(entry)));
    if (last) only.append(" ", button("Back to the point", () => { last.scrollIntoView({ block: "center" }); last.focus({ preventScroll: true }); }));
    entry.tools.prepend(only);
  }
}
for (const entry of $$("details.entry")) entry.addEventListener("toggle", () => { if (entry.open && !entry.dataset.filled) fill(entry); });

// Every number of every record, a row a cell, method and metric.
function tidy() {
  const { experiment, methods, metrics, axes, entries } = data();
  const text = (x) => (x === null || x === undefined ? "" : typeof x === "object" ? JSON.stringify(x) : String(x));
  const lines = [["experiment", "cell", "seed", "task", ...axes, "method", "status", "metric", "value", "low", "high", "cases", "undefined"]];
  for (const entry of Object.values(entries)) {
    for (const record of entry.records) {
      const head = [experiment, record.id, record.seed, entry.task, ...entry.axes];
      if (record.failed !== undefined) lines.push([...head, "", "failed", "", "", "", "", "", ""]);
      for (const method of record.m) {
        const status = method[1] ? "failed" : "ok";
        values(method).forEach((found, i) => { if (found) lines.push([...head, methods[method[0]], status, metrics[i], found.value, found.low, found.high, found.cases, found.undefined]); });
        const stages = ["prepare", "apply", "score"];
        stages.forEach((stage, i) => lines.push([...head, methods[method[0]], status, stage + "_seconds", method[3]?.[i], "", "", "", ""]));
        if (method[4]) lines.push([...head, methods[method[0]], status, "peak_bytes", Math.max(...method[4]), "", "", "", ""]);
        lines.push([...head, methods[method[0]], status, "residual", method[5], "", "", "", ""]);
      }
    }
  }
  return lines.map((line) => line.map(text).map(quoted).join(",")).join("\n") + "\n";
}
if ($("#records") && data().metrics) {
  const tools = make("div", { class: "tools" });
  tools.append(button("Download all numbers as tidy CSV", () => download(slug(document.title) + ".csv", tidy())));
  $("#records h2").after(tools);
}
