// Puts the chosen theme on the page before anything is drawn. Without a choice the system's holds.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem('planbus.theme');
  } catch {
    // Where nothing may be kept, the system's theme holds.
  }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
