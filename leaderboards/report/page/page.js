// What starts the page and draws it again; everything that it calls stands in the scripts before.
const draw = () => {
  followPlace();
  drawTable();
  drawCount();
  byId("forest-title").textContent = `Difference to ${state.reference}`;
  drawAlphaRanking();
  charts.changed();
};

const theme = (name) => { document.documentElement.dataset.theme = name; };
const system = matchMedia("(prefers-color-scheme: dark)");
const follow = () => theme(system.matches ? "dark" : "light");
follow();
system.addEventListener("change", () => { follow(); charts.changed(); });
byId("theme").addEventListener("click", () => {
  theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  charts.changed();
});

// On paper: light, with what is folded open and the dialog away.
let before = null;
addEventListener("beforeprint", () => {
  if (before) return;
  const folded = [...document.querySelectorAll("main > section > details:not([open])")];
  before = { theme: document.documentElement.dataset.theme, folded };
  if (byId("origin").open) byId("origin").close();
  for (const each of folded) each.open = true;
  theme("light");
  document.documentElement.classList.add(PRINTING);
  charts.changed();
  charts.drawAll();
});
addEventListener("afterprint", () => {
  if (!before) return;
  theme(before.theme);
  document.documentElement.classList.remove(PRINTING);
  for (const each of before.folded) each.open = false;
  before = null;
  charts.changed();
});

charts.add(byId("forest"), drawForest);
charts.add(byId("scatter"), drawScatter);
for (const id of ["forest", "scatter", ...SAMPLED]) roomFor(id, Math.max(board.rows.length, 3));
if (byId("budget-chart")) charts.add(byId("budget-chart"), drawBudgets);
for (const id of ["budget-chart", "alpha-chart", "buckets-reasoning", "buckets-answer"]) {
  roomFor(id, Math.min(board.rows.length, MOST_LINES), 300, 20);
}
for (const id of SAMPLED.filter(byId)) {
  charts.add(byId(id), () => drawSampling(id));
}
startChoices();
startFilters();
startAlpha();
startBuckets();
startProvenance();
readAddress();
showControls();
startTraining();
draw();
openLinked();
addEventListener("hashchange", () => {
  if (readAddress()) {
    showControls();
    draw();
    openLinked();
  }
});
