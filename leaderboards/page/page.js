// The leaderboard's table and charts, drawn from the inline JSON; what starts the page stands last.
const state = { place: board.places[0].id, metric: board.rankBy, sort: "value", ascending: false };
const cellOf = (row) => row.cells[state.place];
const figuresOf = (row, metric = state.metric) => cellOf(row)?.metrics[metric];
const differenceOf = (row) => figuresOf(row)?.difference;
const comparable = (row, metric = state.metric) => {
  const figures = figuresOf(row, metric);
  if (!figures) return false;
  return !figures.ownFormat || board.rows.every((other) => figuresOf(other, metric)?.ownFormat !== false);
};
const rankOf = (row) => {
  if (!comparable(row)) return null;
  const mean = figuresOf(row).mean;
  return 1 + board.rows.filter((other) => comparable(other) && figuresOf(other).mean > mean).length;
};

const entryCell = (row) => {
  const cell = make("th", { scope: "row" }, row.label);
  const remark = row.isReference ? "reference" : row.role;
  if (remark !== "trained" && remark !== row.label) cell.append(make("span", { class: "chip" }, remark));
  return cell;
};
const valueCell = (row) => {
  const figures = figuresOf(row);
  if (!figures) return make("td", {}, MISSING);
  const range = make("i", { style: `left:${100 * figures.low}%;right:${100 * (1 - figures.high)}%` });
  const bar = make("span", { class: "span", "aria-hidden": "true" }, range);
  bar.append(make("b", { style: `left:${100 * figures.mean}%` }));
  return make("td", {}, figures.text, make("span", { class: "interval" }, figures.interval), bar);
};
const differenceCell = (row) => {
  const found = differenceOf(row);
  if (!found) return make("td", { class: "quiet" }, row.isReference ? "reference" : MISSING);
  const kind = found.verdict === "not distinguishable" ? "" : found.verdict;
  const sign = { better: "▲ ", worse: "▼ ", "": "" }[kind];
  return make(
    "td", {},
    make("span", { class: kind }, found.text + (kind && "*")),
    make("span", { class: "interval" }, found.interval),
    make("span", { class: `verdict ${kind}` }, sign + found.verdict),
  );
};

const nameOf = (metric) => board.metrics.find((each) => each.id === metric).name;
const column = (id, name, number, text) => ({
  id, name, key: number, cell: (row) => make("td", {}, text(row) ?? MISSING),
});
const figureColumn = (id, name, figure) => (
  column(id, name, (row) => figure(row)?.number, (row) => figure(row)?.text)
);
const metricColumn = ({ id, name }) => ({
  metric: id, ...column(id, name, (row) => figuresOf(row, id)?.mean, (row) => figuresOf(row, id)?.text),
});
const columns = () => [
  { id: "entry", name: "entry", key: (row) => row.label, cell: entryCell },
  column("rank", "#", rankOf, (row) => rankOf(row)?.toString()),
  { ...metricColumn({ id: state.metric, name: nameOf(state.metric) }), id: "value", cell: valueCell },
  { id: "difference", name: `Δ ${board.reference}`, key: (row) => differenceOf(row)?.mean, cell: differenceCell },
  figureColumn("p", "Holm p", (row) => differenceOf(row)?.pHolm),
  ...board.metrics.filter((metric) => metric.id !== state.metric).map(metricColumn),
  figureColumn("flops", "train FLOPs", (row) => row.cost?.flops),
  figureColumn("tokens", "loss tokens", (row) => row.cost?.tokens),
  figureColumn("time", "train time", (row) => row.cost?.seconds),
  column("seeds", "seeds", (row) => row.seeds || null, (row) => (row.seeds || null)?.toString()),
  figureColumn("cut", "cut %", (row) => cellOf(row)?.truncated),
  figureColumn("out", "tokens out", (row) => cellOf(row)?.outputTokens),
];

// What has no figure, or one that means something else, stays below whatever the direction.
const sorted = (by) => {
  const sign = state.ascending ? 1 : -1;
  const last = (row) => (by.key(row) ?? null) === null || (by.metric && !comparable(row, by.metric));
  return [...board.rows].sort((left, right) => {
    if (last(left) !== last(right)) return last(left) - last(right);
    const [a, b] = [by.key(left) ?? 0, by.key(right) ?? 0];
    return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
  });
};
const sortBy = (id) => {
  state.ascending = state.sort === id ? !state.ascending : ["entry", "rank", "p"].includes(id);
  state.sort = id;
  drawTable();
  byId("table").querySelector(`[data-column="${id}"]`).focus();
};
const drawTable = () => {
  const all = columns();
  const current = all.find((each) => each.id === state.sort) ?? all[2];
  const head = make("tr");
  for (const each of all) {
    const button = make("button", { type: "button", "data-column": each.id }, each.name);
    button.addEventListener("click", () => sortBy(each.id));
    const direction = each === current ? (state.ascending ? "ascending" : "descending") : "none";
    head.append(make("th", { scope: "col", "aria-sort": direction }, button));
  }
  const body = make("tbody");
  for (const row of sorted(current)) {
    const line = make("tr", row.isReference ? { class: "reference" } : {});
    line.append(...all.map((each) => each.cell(row)));
    body.append(line);
  }
  byId("table").replaceChildren(make("thead", {}, head), body);
  const some = board.rows.map((row) => figuresOf(row)).find(Boolean);
  const place = board.places.find((each) => each.id === state.place).name;
  byId("caption").textContent = some ? `${nameOf(state.metric)} in %, ${place}: ${some.n} questions.` : "";
};

const bars = (all) => ({
  type: "data", symmetric: false, thickness: 1.6, width: 4,
  array: all.map((each) => 100 * Math.max(each.high - each.mean, 0)),
  arrayminus: all.map((each) => 100 * Math.max(each.mean - each.low, 0)),
});

const drawScatter = () => {
  const shown = board.rows.filter((row) => cellOf(row));
  const traces = shown.map((row) => {
    const [x, y] = [figuresOf(row, "format_valid"), figuresOf(row, "accuracy")];
    const tone = toneOf(row);
    const symbol = row.tagged ? "circle" : "diamond-open";
    return {
      type: "scatter", mode: "markers", name: plotText(row.label) + (row.tagged ? "" : "†"),
      x: [100 * x.mean], y: [100 * y.mean],
      error_x: { ...bars([x]), color: tone }, error_y: { ...bars([y]), color: tone },
      marker: { color: tone, size: 11, symbol, line: { width: row.tagged ? 0 : 2, color: tone } },
      hovertemplate: `${plotText(row.label)}<br>accuracy %{y:.1f} %<br>format %{x:.1f} %<extra></extra>`,
    };
  });
  Plotly.react("scatter", traces, layout({
    xaxis: axis("format validity, %"), yaxis: axis("accuracy, %"),
    legend: { orientation: "h", y: -0.22, font: { size: 12 } },
  }), config);
};

const drawForest = () => {
  const shown = board.rows.filter((row) => differenceOf(row)).reverse();
  const found = shown.map(differenceOf);
  const tone = (each) => colour({ better: "--better", worse: "--worse" }[each.verdict] ?? "--quiet");
  const symbols = found.map((each) => (each.verdict === "not distinguishable" ? "circle-open" : "circle"));
  const traces = shown.map((row, index) => ({
    type: "scatter", mode: "markers", showlegend: false, x: [100 * found[index].mean], y: [plotText(row.label)],
    error_x: { ...bars([found[index]]), color: tone(found[index]) },
    marker: { color: tone(found[index]), symbol: symbols[index], size: 11, line: { width: 2, color: tone(found[index]) } },
    hovertemplate: `${plotText(row.label)}: ${found[index].text} ${found[index].interval}<br>` +
      `${found[index].verdict}, Holm p ${plotText(found[index].pHolm.text)}<extra></extra>`,
  }));
  Plotly.react("forest", traces, layout({
    xaxis: axis(`difference in ${nameOf(state.metric)}, points`, {
      zeroline: true, zerolinecolor: colour("--ink"), zerolinewidth: 1.5,
    }),
    yaxis: axis("", { type: "category", showgrid: false, dtick: 1 }),
    annotations: shown.length ? [] : [{ text: "nothing comparable here", showarrow: false }],
  }), config);
};

const draw = () => { drawTable(); drawScatter(); drawForest(); drawSampling(); };
const drawAll = () => { draw(); drawTraining(); };
const choose = (id, options, selected) => {
  const select = byId(id);
  for (const option of options) select.append(make("option", { value: option.id }, option.name));
  select.value = selected;
  select.addEventListener("change", () => { state[id] = select.value; draw(); });
};
const theme = (name) => { document.documentElement.dataset.theme = name; };
const system = matchMedia("(prefers-color-scheme: dark)");
const follow = () => theme(system.matches ? "dark" : "light");
follow();
system.addEventListener("change", () => { follow(); drawAll(); });
byId("theme").addEventListener("click", () => {
  theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  drawAll();
});
// With many entries the forest's names and the other charts' legends need the room.
for (const id of ["forest", "scatter", ...SAMPLED].filter(byId)) byId(id).style.minHeight = `${110 + 25 * board.rows.length}px`;
choose("place", board.places, state.place);
choose("metric", board.metrics, state.metric);
startTraining();
drawAll();
