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
