// Sorting and filtering of the table, light or dark by hand. The page is complete without it.
"use strict";
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });

  const table = document.querySelector(".grades");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const order = new Intl.Collator(root.lang, { numeric: true, sensitivity: "base" });
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : order.compare(a, b));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    const arrow = document.createElement("span");
    arrow.setAttribute("aria-hidden", "true");
    button.append(arrow);
    head.append(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) {
        other.removeAttribute("aria-sort");
        other.querySelector("span[aria-hidden]").textContent = "";
      }
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      arrow.textContent = rising ? " ▲" : " ▼";
      rows.sort((a, b) => (rising ? 1 : -1) * compare(value(a, column), value(b, column)));
      body.append(...rows);
    });
  });

  const texts = JSON.parse(document.getElementById("texts").textContent);
  const filter = document.getElementById("filter");
  filter.closest("p").hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = wanted ? texts.shown.replace("{shown}", shown).replace("{all}", rows.length) : "";
  });
})();
