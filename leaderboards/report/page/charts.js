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

// Of the entries at the place chosen; on the page of two entries, of these at every place.
const forestLines = () => {
  if (board.view !== "comparison") {
    return visibleRows().map((row) => ({ name: row.label, found: differenceOf(row) }));
  }
  const [row] = board.rows;
  return board.places.map(({ id, name }) => ({ name: id === "macro" ? "macro average" : name, found: differenceAt(row, id) }));
};
const forestTrace = ({ name, found }) => {
  const tone = colour({ better: "--better", worse: "--worse" }[found.verdict] ?? "--quiet");
  const symbol = found.verdict === "not distinguishable" ? "circle-open" : "circle";
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
  const lines = forestLines().filter(({ found }) => found).reverse();
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
