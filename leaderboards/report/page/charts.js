// Differences as a forest, and accuracy against format.
const bars = (all) => ({
  type: "data", symmetric: false, thickness: 1.6, width: 4,
  array: all.map((each) => 100 * Math.max(each.high - each.mean, 0)),
  arrayminus: all.map((each) => 100 * Math.max(each.mean - each.low, 0)),
});
// Of tenths of a percent.
const tenthBars = (all) => ({
  type: "data", symmetric: false, thickness: 1.6, width: 4,
  array: all.map(([mean, , high]) => (high - mean) / 10), arrayminus: all.map(([mean, low]) => (mean - low) / 10),
});
const spanOf = ({ shown }) => shown.slice(0, 3);
const legendBelow = { orientation: "h", y: -0.2, yanchor: "top", font: { size: 12 } };
// With many entries the forest's names and the other charts' legends need the room.
const roomFor = (id, lines, base = 110, each = 25) => {
  if (byId(id)) byId(id).style.minHeight = `${base + each * lines}px`;
};

const scatterTrace = (row) => {
  const [x, y] = [figuresOf(row, "format_valid"), figuresOf(row, "accuracy")].map(spanOf);
  const tone = toneOf(row);
  return {
    type: "scatter", mode: "markers", name: plotText(row.label) + (row.tagged ? "" : "†"),
    x: [x[0] / 10], y: [y[0] / 10],
    error_x: { ...tenthBars([x]), color: tone }, error_y: { ...tenthBars([y]), color: tone },
    marker: { color: tone, size: 11, symbol: symbolOf(row), line: { width: row.tagged ? 0 : 2, color: tone } },
    hovertemplate: `${plotText(row.label)}<br>accuracy %{y:.1f} %<br>format %{x:.1f} %<extra></extra>`,
  };
};
const drawScatter = () => {
  const shown = visibleRows().filter((row) => cellOf(row));
  Plotly.react("scatter", shown.map(scatterTrace), layout({
    xaxis: axis("format validity, %"), yaxis: axis("accuracy, %"), legend: legendBelow, showlegend: true,
  }), config);
};

const forestTrace = ({ name, found }) => {
  const tone = colour({ better: "--better", worse: "--worse" }[found.verdict] ?? "--quiet");
  const symbol = found.verdict in { better: 1, worse: 1 } ? "circle" : "circle-open";
  return {
    type: "scatter", mode: "markers", showlegend: false, x: [found.mean / 10], y: [plotText(name)],
    error_x: { ...tenthBars([[found.mean, found.low, found.high]]), color: tone },
    marker: { color: tone, symbol, size: 11, line: { width: 2, color: tone } },
    hovertemplate: `${plotText(name)}: ${found.text} ${found.interval}<br>` +
      `${found.verdict}, Holm ${plotText(pEquals(found.pHolm))}<extra></extra>`,
  };
};
// Long names would leave no room for the differences: the axis shows their beginning, the pointer all of it.
const shortened = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);
const drawForest = () => {
  const lines = visibleRows().map((row) => ({ name: row.label, found: differenceOf(row) })).filter(({ found }) => found).reverse();
  const most = byId("forest").clientWidth < 480 ? 16 : 30;
  Plotly.react("forest", lines.map(forestTrace), layout({
    xaxis: axis(`difference in ${nameOf(state.metric)}, points`, {
      zeroline: true, zerolinecolor: colour("--ink"), zerolinewidth: 1.5,
    }),
    yaxis: axis("", {
      type: "category", showgrid: false, tickmode: "array",
      tickvals: lines.map(({ name }) => plotText(name)), ticktext: lines.map(({ name }) => plotText(shortened(name, most))),
    }),
    annotations: lines.length ? [] : [{ text: "nothing comparable here", showarrow: false }],
  }), config);
};

// maj@k and pass@k over k, for the benchmark chosen above: where several outputs were drawn for a question.
const SAMPLED = ["majority", "passing"];
const sampledOf = (row) => row.cells[state.place]?.sampled;

const sampledTrace = (name) => (row) => {
  const points = sampledOf(row);
  const found = points.map((point) => point[name]);
  const tone = toneOf(row);
  return {
    type: "scatter", mode: "lines+markers", name: plotText(row.label),
    x: points.map((point) => point.k), y: found.map((each) => 100 * each.mean),
    error_y: { ...bars(found), color: tone },
    line: { color: tone, width: 2, dash: dashOf(row) }, marker: { color: tone, size: 8, symbol: symbolOf(row) },
    hovertemplate: `${plotText(row.label)}<br>k = %{x}: %{y:.1f} %<extra></extra>`,
  };
};
const drawSampling = (name) => {
  const rows = visibleRows().filter(sampledOf);
  const ticks = [...new Set(rows.flatMap((row) => sampledOf(row).map((point) => point.k)))];
  Plotly.react(name, rows.map(sampledTrace(name)), layout({
    xaxis: axis("k outputs", { type: "log", tickvals: ticks, ticktext: ticks.map(String) }),
    yaxis: axis("% of questions"),
    legend: { orientation: "h", y: -0.22, font: { size: 12 } }, showlegend: true,
    annotations: rows.length ? [] : [{
      text: "none here: choose a benchmark above", xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false,
    }],
  }), config);
};

// What more compute brings: each row at shares of the budget; intervals as bars.
const budgetTrace = (row) => {
  const points = board.budgets[row.position];
  const tone = toneOf(row);
  return {
    type: "scatter", mode: "lines+markers", name: plotText(row.label),
    x: points.map(([flops]) => flops), y: points.map(([, mean]) => mean / 10),
    error_y: { ...tenthBars(points.map((point) => point.slice(1))), color: tone },
    line: { color: tone, width: 2, dash: dashOf(row) }, marker: { color: tone, size: 8, symbol: symbolOf(row) },
    hovertemplate: `${plotText(row.label)}<br>%{x:.3s} FLOPs: %{y:.1f} %<extra></extra>`,
  };
};
const drawBudgets = () => {
  const rows = chartRows((row) => board.budgets[row.position]);
  Plotly.react("budget-chart", rows.map(budgetTrace), layout({
    xaxis: axis("FLOPs of training, samples and reference model among them", { type: "log", exponentformat: "SI" }),
    yaxis: axis(`${nameOf(board.rankBy)}, %`), legend: legendBelow, showlegend: rows.length > 0,
  }), config);
};

// Accuracy by the length of the reasoning and of the answer, on one benchmark; intervals as bars.
const lengths = { place: "" };
const bucketsOf = (row, by) => row.cells[lengths.place]?.buckets?.[by] ?? [];
const edgeText = (low, high) => (low === high ? `${low}` : `${low}–${high}`);

const bucketTrace = (row, by, number, of, lows) => {
  const found = bucketsOf(row, by);
  const tone = toneOf(row);
  const shift = (number - (of - 1) / 2) * (0.6 / of);
  const spans = found.map((bucket) => bucket.slice(4));
  return {
    type: "scatter", mode: "lines+markers", name: plotText(row.label),
    x: found.map((bucket) => lows.indexOf(bucket[0]) + shift), y: spans.map(([mean]) => mean / 10),
    error_y: { ...tenthBars(spans), color: tone }, marker: { color: tone, size: 8, symbol: symbolOf(row) },
    line: { color: tone, width: 1, dash: dashOf(row) },
    text: found.map(([low, high, outputs, questions]) => (
      `${edgeText(low, high)} characters: ${counted(outputs, "output")} to ${counted(questions, "question")}`
    )),
    hovertemplate: `${plotText(row.label)}<br>%{text}<br>%{y:.1f} %<extra></extra>`,
  };
};
const drawBucket = (by) => {
  const id = `buckets-${by}`;
  const rows = chartRows((row) => bucketsOf(row, by).length);
  const all = rows.flatMap((row) => bucketsOf(row, by));
  const lows = [...new Set(all.map((bucket) => bucket[0]))].sort((a, b) => a - b);
  const names = lows.map((low) => edgeText(low, Math.max(...all.filter((bucket) => bucket[0] === low).map((bucket) => bucket[1]))));
  Plotly.react(id, rows.map((row, i) => bucketTrace(row, by, i, rows.length, lows)), layout({
    xaxis: axis(`characters of the ${by}`, { tickvals: lows.map((_, i) => i), ticktext: names, range: [-0.5, Math.max(lows.length - 0.5, 0.5)] }),
    yaxis: axis("accuracy, %"), legend: legendBelow, showlegend: rows.length > 0,
    annotations: rows.length ? [] : [{ text: "none here", xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false }],
  }), config);
};
// The benchmark chosen for the table is taken over; the macro average has no buckets.
const followPlace = () => {
  const names = bucketPlaces();
  if (names.includes(state.place)) lengths.place = state.place;
  if (!names.includes(lengths.place)) lengths.place = names[0] ?? "";
  if (byId("bucket-place")) byId("bucket-place").value = lengths.place;
};
const bucketPlaces = () => board.places.map((each) => each.id).filter((place) => (
  board.rows.some((row) => row.cells[place]?.buckets)
));
const startBuckets = () => {
  if (!byId("bucket-place")) return;
  const shown = ["buckets-reasoning", "buckets-answer"];
  for (const by of ["reasoning", "answer"]) charts.add(byId(`buckets-${by}`), () => drawBucket(by));
  fillSelect("bucket-place", bucketPlaces().map((name) => ({ id: name, name })));
  byId("bucket-place").parentElement.hidden = bucketPlaces().length < 2;
  byId("bucket-place").addEventListener("change", () => {
    lengths.place = byId("bucket-place").value;
    charts.changed(shown.map(byId));
  });
};
