// Theme, table of contents, and the way to a part of the page that is folded away.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// An element with attributes and children.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(text, action) {
  const element = make("button", { type: "button" }, text);
  element.addEventListener("click", () => action(element));
  return element;
}

// The reader's choice is kept where the browser allows it, and only while it differs from the system's.
const stored = {
  get() { try { return localStorage.getItem("infbench-theme"); } catch { return null; } },
  set(value) {
    try { if (value) localStorage.setItem("infbench-theme", value); else localStorage.removeItem("infbench-theme"); } catch { /* a file may have no storage */ }
  },
};
const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
if (stored.get()) document.documentElement.dataset.theme = stored.get();
const theme = button("", () => {
  const choice = dark() ? "light" : "dark";
  if ((choice === "dark") === system.matches) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  stored.set(document.documentElement.dataset.theme);
  name();
});
function name() { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", theme.textContent + " colours"); }
theme.id = "theme";
system.addEventListener("change", name);
name();
$("#toc").append(theme);

// On a narrow screen the contents are folded and close after a choice.
const contents = $("#toc details");
const wide = matchMedia("(min-width: 64rem)");
const fold = () => { contents.open = wide.matches; };
wide.addEventListener("change", fold);
fold();
const links = new Map($$("#toc a").map((link) => [link.hash.slice(1), link]));
for (const link of links.values()) link.addEventListener("click", () => { if (!wide.matches) contents.open = false; });

// Marks the part that is being read.
const seen = new Set();
const watch = new IntersectionObserver((entries) => {
  for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target.id);
  const parts = [...links.keys()].filter((id) => seen.has(id));
  const current = parts.filter((id) => !parts.some((other) => other !== id && $("#" + CSS.escape(id)).contains($("#" + CSS.escape(other)))))[0];
  for (const [id, link] of links) {
    if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-15% 0px -55% 0px" });
for (const id of links.keys()) watch.observe(document.getElementById(id));

// Opens everything that a target is folded into, and goes there.
function reveal(id, method = null) {
  const target = document.getElementById(id);
  if (!target) return;
  for (let element = target; element; element = element.parentElement) {
    if (element.tagName === "DETAILS") element.open = true;
  }
  if (target.matches(".entry")) fill(target, method);
  target.scrollIntoView({ block: "start" });
  const focus = target.matches("details") ? $("summary", target) : null;
  focus?.focus({ preventScroll: true });
}
function go(id, method = null) {
  try { history.pushState({ method }, "", "#" + id); } catch { location.hash = id; }
  reveal(id, method);
}
addEventListener("popstate", (event) => { if (location.hash.length > 1) reveal(location.hash.slice(1), event.state?.method ?? null); });
addEventListener("DOMContentLoaded", () => { if (location.hash.length > 1) reveal(location.hash.slice(1)); });

function download(name, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
async function copy(text, element) {
  const before = element.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  element.textContent = "Copied";
  setTimeout(() => { element.textContent = before; }, 1200);
}
const quoted = (text) => (/[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "");
