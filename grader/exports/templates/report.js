// Light or dark by hand, and pictures in full size. The page is complete without it.
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

  const dialog = document.getElementById("large");
  const large = dialog.querySelector("img");
  for (const button of document.querySelectorAll(".zoom")) {
    button.addEventListener("click", () => {
      const image = button.querySelector("img");
      large.src = image.src;
      large.alt = image.alt;
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
})();
