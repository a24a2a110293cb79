// The score for every weight of accuracy: linear in α, so that its two ends say all but the intervals.
const weighed = board.rows.filter((row) => row.alpha);
const endsOf = (row) => ["format_valid", "accuracy"].map((metric) => figuresOf(row, metric, board.places[0].id).mean);
const scoreAt = (row, alpha) => {
  const [format, accuracy] = endsOf(row);
  return (1 - alpha) * format + alpha * accuracy;
};
const alphaTraces = (row) => {
  const tone = toneOf(row);
  const [mean, low, high] = [0, 1, 2].map((end) => row.alpha.map((each) => each[end] / 10));
  const band = {
    type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { width: 0 },
    fill: "toself", fillcolor: faint(tone), x: [...board.alphas, ...reversed(board.alphas)], y: [...low, ...reversed(high)],
  };
  const line = {
    type: "scatter", mode: "lines", name: plotText(row.label), x: board.alphas, y: mean,
    line: { color: tone, width: 2, dash: dashOf(row) },
    text: row.alpha.map((each) => rangeText(each[1], each[2])),
    hovertemplate: `${plotText(row.label)}<br>α = %{x:.1f}: %{y:.1f} %{text}<extra></extra>`,
  };
  return [band, line];
};
const upright = (x, line) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line });
const changeLine = ([alpha, , , apart]) => upright(alpha, {
  color: colour(apart ? "--ink" : "--quiet"), width: apart ? 1.6 : 0.8, dash: apart ? "solid" : "dot",
});
const drawAlpha = () => {
  const rows = chartRows((row) => row.alpha);
  const among = new Set(rows.map((row) => row.position));
  const changes = board.alphaChanges.filter(([, rises, falls]) => among.has(rises) && among.has(falls));
  const mark = upright(Number(state.alpha), { color: colour("--accent"), width: 3 });
  Plotly.react("alpha-chart", rows.flatMap(alphaTraces), layout({
    xaxis: axis("α, the weight of accuracy", { range: [0, 1] }), yaxis: axis("score, %"),
    legend: legendBelow, showlegend: true, shapes: [...changes.map(changeLine), mark],
  }), config);
};
const drawAlphaRanking = () => {
  if (!byId("alpha")) return;
  const alpha = Number(state.alpha);
  byId("alpha").value = state.alpha;
  byId("alpha-value").textContent = alpha.toFixed(2);
  const rows = weighed.filter((row) => visibleRows().includes(row));
  rows.sort((left, right) => scoreAt(right, alpha) - scoreAt(left, alpha));
  byId("alpha-ranking").replaceChildren(...rows.map((row) => {
    const style = `border-top: 4px ${LINES[DASHES.indexOf(dashOf(row))]} ${toneOf(row)}`;
    const score = make("span", { class: "score" }, (100 * scoreAt(row, alpha)).toFixed(1));
    return make("li", {}, make("div", {}, make("i", { style, "aria-hidden": "true" }), make("span", {}, row.label), score));
  }));
};

const MOST_CHANGES = 4;
const changeText = ([alpha, rises, falls]) => (
  `at α = ${alpha.toFixed(2)} ${board.rows[rises].label} passes ${board.rows[falls].label}`
);
const changeList = (changes, which) => {
  if (!changes.length) return [];
  const [first, rest] = [changes.slice(0, MOST_CHANGES), changes.slice(MOST_CHANGES)];
  const said = make("p", {}, `${counted(changes.length, "change")} ${which}: ${first.map(changeText).join("; ")}${rest.length ? "; …" : "."}`);
  if (!rest.length) return [said];
  const items = rest.map((change) => make("li", {}, changeText(change)));
  return [said, make("details", {}, make("summary", {}, counted(rest.length, "more change")), make("ul", {}, ...items))];
};
const alphaSentences = () => {
  const all = board.alphaChanges;
  if (!all.length) return [make("p", {}, "No entry passes another between α = 0 and α = 1: the ranking by score is the same for all.")];
  return [
    make("p", {}, `Between α = 0 and 1 the ranking changes ${counted(all.length, "time")}.`),
    ...changeList(all.filter((change) => change[3]), "between entries that can be told apart in both accuracy and format"),
    ...changeList(all.filter((change) => !change[3]), "between entries that cannot be told apart in both, which say nothing"),
  ];
};
const alphaTable = () => {
  const head = make("tr", {}, make("th", { scope: "col" }, "entry"), ...board.alphas.map((alpha) => make("th", { scope: "col" }, `α ${alpha}`)));
  const lines = weighed.map((row) => make(
    "tr", {}, make("th", { scope: "row" }, row.label),
    ...row.alpha.map((each) => make("td", {}, percentText(each[0]), make("span", { class: "interval" }, rangeText(each[1], each[2])))),
  ));
  return [make("thead", {}, head), make("tbody", {}, ...lines)];
};
const startAlpha = () => {
  if (!byId("alpha")) return;
  byId("alpha").addEventListener("input", () => {
    state.alpha = byId("alpha").value;
    writeAddress();
    drawAlphaRanking();
    charts.changed([byId("alpha-chart")]);
  });
  charts.add(byId("alpha-chart"), drawAlpha);
  byId("alpha-changes").replaceChildren(...alphaSentences());
  byId("alpha-table").replaceChildren(...alphaTable());
};
