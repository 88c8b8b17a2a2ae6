"use strict";
// The page without this script is whole, in the language it opens in, but for its pictures; this sorts, filters and switches.
(() => {
  const root = document.documentElement;
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const drawn = new Map();

  const language = () => (root.lang === "en" ? "en" : "zh");
  const told = (element) => element.dataset[language()];

  async function draw(place) {
    const spec = specs[language()][place.dataset.chart];
    // The interpreter, in place of code made from text: the page's policy allows none.
    const options = { actions: false, ast: true, defaultStyle: false, renderer: "svg", tooltip: false };
    drawn.get(place)?.finalize();
    drawn.set(place, await vegaEmbed(place, structuredClone(spec), options));
  }

  function redraw() {
    return Promise.all([...document.querySelectorAll("[data-chart]")].map(draw));
  }

  function switchTo(lang) {
    root.lang = lang;
    document.querySelectorAll("[data-language]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.language === lang));
    document.querySelectorAll("option[data-zh], title[data-zh]").forEach((o) => (o.textContent = told(o)));
    document.querySelectorAll("[data-into]").forEach((e) => e.setAttribute(e.dataset.into, told(e)));
    document.querySelectorAll(".rows").forEach(count);
    root.dataset.drawn = "";
    redraw().then(() => (root.dataset.drawn = lang));
  }

  const rowsOf = (part) => [...part.querySelectorAll("tbody tr, .cases > li")];

  function count(part) {
    const output = part.querySelector("output");
    if (!output) return;
    const rows = rowsOf(part);
    const shown = rows.filter((row) => !row.hidden).length;
    output.textContent = told(output).replace("{0}", shown.toLocaleString()).replace("{1}", rows.length.toLocaleString());
  }

  function filter(part) {
    const words = part.querySelector("input[type=search]").value.trim().toLowerCase();
    const chosen = [...part.querySelectorAll("select")].filter((select) => select.value !== "");
    for (const row of rowsOf(part)) {
      const fits = chosen.every((select) => row.dataset[`by${select.dataset.by}`] === select.value);
      row.hidden = !fits || !row.textContent.toLowerCase().includes(words);
    }
    count(part);
  }

  // What a cell is sorted by: its number, or the words seen; a dash comes last whichever way.
  function keyOf(row, n) {
    const cell = row.cells[n];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const seen = cell.querySelector(`span[lang="${root.lang}"]`) ?? cell;
    const text = seen.textContent.trim();
    return text === "–" ? null : text;
  }

  function compared(a, b) {
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), root.lang);
  }

  function sort(head) {
    const body = head.closest("table").tBodies[0];
    const n = head.cellIndex;
    const was = head.getAttribute("aria-sort");
    const first = head.classList.contains("n") ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const way = was === first ? other : first;
    const sign = way === "ascending" ? 1 : -1;
    const keyed = [...body.rows].map((row) => [keyOf(row, n), row]);
    keyed.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : sign * compared(a, b)));
    head.parentElement.querySelectorAll("th").forEach((th) => th.setAttribute("aria-sort", th === head ? way : "none"));
    body.append(...keyed.map(([, row]) => row));
  }

  function toCases(corner) {
    const part = document.getElementById("cases");
    part.querySelector("input[type=search]").value = "";
    part.querySelector("select").value = corner;
    filter(part);
  }

  document.addEventListener("click", (event) => {
    const switched = event.target.closest("[data-language]");
    const head = event.target.closest("thead th");
    const link = event.target.closest("a[data-corner]");
    if (switched) switchTo(switched.dataset.language);
    if (head) sort(head);
    if (link) toCases(link.dataset.corner);
  });
  document.addEventListener("input", (event) => {
    const part = event.target.closest(".rows");
    if (part) filter(part);
  });

  // Paper has no clicks: what is folded is printed open, and folded again afterwards.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((d) => (d.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((d) => (d.open = false)));

  document.querySelectorAll(".switch, .tools").forEach((e) => (e.hidden = false));
  document.querySelectorAll(".rows").forEach((part) => part.querySelector(".tools") && filter(part));
  switchTo(root.lang);
})();
