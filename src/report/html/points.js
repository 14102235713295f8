// Points of figures: what they are, on the way to their records. By pointer, by touch, by arrow keys.
const REACH = 22;
let last = null;
const tip = make("div", { id: "tip", role: "status" });
tip.hidden = true;
document.body.append(tip);

// What a point says, a line each: its series, its numbers with the axes' names, its records.
function words(point) {
  const series = point.closest("g.s")?.dataset.n ?? "";
  const { x, y } = point.closest(".panel").dataset;
  const numbers = point.dataset.said.split("; ");
  const records = numbers.pop();
  if (x && numbers.length === 2) return [series, x + ": " + numbers[0], y + ": " + numbers[1], records];
  if (!x || numbers.length !== 1) return [series, ...numbers, records];
  const [at, value] = numbers[0].split(": ");
  return [series, x + " = " + at, y + ": " + value, records];
}
function show(point) {
  const [series, ...lines] = words(point);
  tip.replaceChildren(make("b", {}, series), ...lines.map((line) => make("div", {}, line)));
  tip.hidden = false;
  const box = point.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left + box.width / 2 + 12), innerWidth - tip.offsetWidth - 8);
  const below = box.bottom + tip.offsetHeight + 16 < innerHeight;
  tip.style.left = left + scrollX + "px";
  tip.style.top = scrollY + (below ? box.bottom + 8 : box.top - tip.offsetHeight - 8) + "px";
}
function hide() { tip.hidden = true; $$("a.near").forEach((point) => point.classList.remove("near")); }

// The point of a panel next to a place on the screen.
function nearest(panel, x, y) {
  let best = null;
  let least = REACH;
  for (const point of $$("a", panel)) {
    if (point.dataset.curve) continue;
    const mark = point.lastElementChild.getBoundingClientRect();
    const distance = Math.hypot(mark.left + mark.width / 2 - x, mark.top + mark.height / 2 - y);
    if (distance < least) [best, least] = [point, distance];
  }
  return best;
}
function open(point) {
  last = point;
  hide();
  const method = point.closest("[data-m]")?.dataset.m;
  go(point.getAttribute("href").slice(1), method === undefined ? null : Number(method));
}

for (const figure of $$("figure")) {
  const points = $$(".fig a", figure);
  points.forEach((point, i) => {
    point.dataset.said = point.getAttribute("aria-label");
    point.setAttribute("aria-label", words(point).join("; "));
    // one stop of the tab key a figure, the rest by arrows
    point.setAttribute("tabindex", i ? "-1" : "0");
    if (/^\d+ records?$/.test(point.dataset.said)) {
      point.dataset.curve = "yes";
      const hit = point.lastElementChild.cloneNode();
      hit.classList.add("hit");
      point.append(hit);
    }
    point.addEventListener("focus", () => show(point));
    point.addEventListener("blur", hide);
    point.addEventListener("pointerenter", () => show(point));
    point.addEventListener("pointerleave", hide);
  });
  for (const panel of $$(".fig", figure)) {
    panel.addEventListener("pointermove", (event) => {
      const point = nearest(panel, event.clientX, event.clientY);
      $$("a.near").forEach((other) => other.classList.toggle("near", other === point));
      if (point) { point.classList.add("near"); show(point); } else if (!event.target.closest?.("a")) hide();
    });
    panel.addEventListener("pointerleave", hide);
    panel.addEventListener("click", (event) => {
      const point = nearest(panel, event.clientX, event.clientY) ?? event.target.closest?.("a");
      if (!point || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      open(point);
    });
  }
  figure.addEventListener("keydown", (event) => {
    const point = event.target.closest?.(".fig a");
    if (!point) return;
    const series = $$("a", point.closest("g.s"));
    const groups = $$("g.s", figure).filter((group) => $("a", group));
    const [at, row] = [series.indexOf(point), groups.indexOf(point.closest("g.s"))];
    const other = (step) => { const next = $$("a", groups[(row + step + groups.length) % groups.length]); return next[Math.min(at, next.length - 1)]; };
    const next = { ArrowRight: () => series[at + 1] ?? other(1), ArrowLeft: () => series[at - 1] ?? other(-1), ArrowDown: () => other(1), ArrowUp: () => other(-1), Home: () => points[0], End: () => points.at(-1) }[event.key];
    if (event.key === "Enter") { event.preventDefault(); open(point); return; }
    if (!next) return;
    event.preventDefault();
    const to = next();
    point.setAttribute("tabindex", "-1");
    to.setAttribute("tabindex", "0");
    to.focus();
  });
  // A legend's entry shows its series alone, while pointed at or when pressed.
  const panels = $(".panels", figure);
  let pressed = null;
  const only = (k) => {
    panels.classList.toggle("dim", k !== null);
    for (const group of $$("g.s", panels)) group.classList.toggle("on", group.dataset.k === k);
  };
  for (const item of $$(".keys li", figure)) {
    const press = button("", () => {
      pressed = pressed === item.dataset.k ? null : item.dataset.k;
      for (const other of $$(".keys button", figure)) other.setAttribute("aria-pressed", String(other.parentElement.dataset.k === pressed));
      only(pressed);
    });
    press.setAttribute("aria-pressed", "false");
    press.append(...item.childNodes);
    item.append(press);
    item.addEventListener("pointerenter", () => only(item.dataset.k));
    item.addEventListener("pointerleave", () => only(pressed));
  }
}
for (const link of $$("main a[href^='#']:not(.fig a)")) {
  link.addEventListener("click", (event) => { event.preventDefault(); last = null; go(link.hash.slice(1)); });
}
