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
