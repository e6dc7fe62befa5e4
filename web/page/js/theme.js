// Runs before the first paint, so that a chosen theme never flashes the other one.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("peal.theme");
  } catch {
    // Storage may be forbidden; the system's theme is fine then.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
