// Tables: sorted by the column whose header is pressed, filtered, copied as CSV. Missing numbers stay at the end.
const LONG = 8;

function key(row, column, numeric) {
  const cell = row.cells[column];
  if (!numeric) return cell.textContent;
  return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
}

function sort(table, column, up) {
  const rows = [...table.tBodies[0].rows];
  const numeric = rows.some((row) => row.cells[column].dataset.v !== undefined);
  const order = (a, b) => {
    const [x, y] = [key(a, column, numeric), key(b, column, numeric)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (numeric ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
  };
  table.tBodies[0].append(...rows.sort(order));
}

// Numbers as numbers; beside them what is shown, where that says more.
function csv(table) {
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  const numeric = heads.map((_, column) => rows.some((row) => row.cells[column].dataset.v !== undefined));
  const more = heads.map((_, column) => numeric[column] && rows.some((row) => /[^\d.,−-]/.test(row.cells[column].textContent)));
  const line = (cells) => cells.map(quoted).join(",");
  const head = heads.flatMap((text, column) => (more[column] ? [text, text + " (shown)"] : [text]));
  const of = (row) => [...row.cells].flatMap((cell, column) => {
    const text = cell.matches(".x") ? "" : cell.textContent;
    if (!numeric[column]) return [text];
    const value = cell.dataset.v ?? "";
    return more[column] ? [value, text] : [value];
  });
  return [line(head), ...rows.map((row) => line(of(row)))].join("\n") + "\n";
}

function enhance(table, title) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const press = button(head.textContent, () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(table, column, up);
    });
    head.replaceChildren(press);
  });
  const tools = make("div", { class: "tools" });
  const rows = table.tBodies[0].rows;
  if (rows.length > LONG) {
    const input = make("input", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows of " + title });
    const status = make("span", { role: "status" });
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      status.textContent = words.length ? shown + " of " + rows.length + " rows" : "";
    });
    tools.append(input, status);
  }
  tools.append(button("Copy as CSV", (pressed) => copy(csv(table), pressed)));
  tools.append(button("Download CSV", () => download(slug(title) + ".csv", csv(table))));
  const frame = table.closest(".scroll");
  frame.before(tools);
  frame.classList.toggle("tall", rows.length > 24);
  return tools;
}

// On a narrow screen a short table is read as cards.
for (const table of $$("table.lead")) {
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, column) => { cell.dataset.h = heads[column]; });
  table.classList.add("cards");
}

for (const table of $$("table.data")) enhance(table, table.closest(".scroll").getAttribute("aria-label"));
