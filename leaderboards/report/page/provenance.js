// The dialog behind every figure: what it is, how sure it is, and where it comes from.
const LEVEL = `${(100 * board.confidence).toFixed(0)} % interval`;
const benchmarkIds = () => board.places.map((each) => each.id).filter((id) => id !== "macro");
const going = (request, text) => {
  const button = make("button", { type: "button", class: "figure" }, text);
  Object.assign(button.dataset, request);
  return button;
};
const partsOf = (row, kind, metric, textOf) => benchmarkIds().filter((place) => row.cells[place]).map((place) => (
  make("li", {}, `${place}: `, going({ kind, metric, place, row: board.rows.indexOf(row), reference: state.reference }, textOf(place)))
));

const metricBody = (row, { place, metric }) => {
  const figures = figuresOf(row, metric, place);
  const [mean, , , se, ...boot] = figures.shown;
  const facts = factList([
    [nameOf(metric), `${percentText(mean)} %${figures.ownFormat ? " †" : ""}`],
    [LEVEL, intervalText(figures)],
    ["standard error", `${(se / 100).toFixed(2)} points, clustered by question and seed`],
    ["bootstrap interval", boot.length ? `${rangeText(...boot)}, questions and seeds drawn anew` : "not drawn"],
    ["questions", row.cells[place].n.toLocaleString("en")],
    ["seeds", figures.seeds > 1 ? String(figures.seeds) : "one checkpoint: the interval holds question sampling alone"],
  ]);
  const own = figures.ownFormat ? [make("p", {}, "† no tags: format validity means a final-answer line here, which is not compared with the tag format.")] : [];
  if (place !== "macro") return [facts, ...own, ...originsOf(row, place)];
  const parts = partsOf(row, "metric", metric, (each) => `${figureText(figuresOf(row, metric, each))} ${intervalText(figuresOf(row, metric, each))}`);
  return [facts, ...own, make("h3", {}, "The mean of these, each counting alike"), make("ul", {}, ...parts)];
};

const detectableText = (found) => (
  `A true difference smaller than ${percentText(found.detectable)} points would be missed more often than one time in five.`
);
const mcnemarText = ({ mcnemar }) => `${mcnemar.map(pText).join(", ")} (${mcnemar.length === 1 ? "one seed pair" : "one for each seed pair"})`;
const differenceFacts = (found, family) => factList([
  ["verdict", `${found.verdict}, by the Holm-corrected p`],
  ["difference", `${found.text} points`],
  [LEVEL, `${found.interval}, not corrected`],
  ["paired t test", `${pEquals(found.p)}, clustered by question and seed`],
  ["Holm's correction", `${pEquals(found.pHolm)}, over ${counted(found.family, "comparison")} ${family}`],
  ["permutation test", found.permutation === null ? "made for the board's own reference only" : pEquals(found.permutation)],
  ["McNemar's exact test", mcnemarText(found)],
  ["standard error", `${(found.se / 100).toFixed(2)} points`],
  ["effect size", `Cohen's h ${signed(found.effect / 100, 2)}`],
  ["won : lost", `${found.gained.toLocaleString("en")} : ${found.lost.toLocaleString("en")} answers, over ${counted(found.n, "question")} and ${counted(found.mcnemar.length, "seed pair")}`],
  ["detectable", detectableText(found)],
]);
const sidesOf = (row, other, place, metric) => make("p", {}, "Of ", ...[row, other].flatMap((each, i) => {
  const request = { kind: "metric", row: board.rows.indexOf(each), place, metric };
  const figures = figuresOf(each, metric, place);
  return [i ? " and " : "", `${each.label} `, figures ? going(request, `${figureText(figures)} ${intervalText(figures)}`) : MISSING];
}), ".");
const pageLink = (row, other) => {
  const href = board.pages[`${row.position}-${other.position}`] ?? board.pages[`${other.position}-${row.position}`];
  return href ? make("p", {}, make("a", { href }, "The page of these two")) : "";
};
const samplesLink = (row, other, place) => {
  if (!sampleStore || place === "macro") return "";
  const href = `#compare=${[row.label, other.label, place].map(encodeURIComponent).join(",")}`;
  const link = make("a", { href }, "Their outputs side by side");
  link.addEventListener("click", () => byId("origin").close());
  return make("p", {}, link);
};
const differenceBody = (row, { place, metric, reference }) => {
  const found = differenceAt(row, place, metric, reference);
  const family = place === "macro" ? "of macro averages with this reference" : "on single benchmarks with this reference";
  const body = [differenceFacts(found, family), sidesOf(row, found.other, place, metric), samplesLink(row, found.other, place), pageLink(row, found.other)];
  if (place !== "macro") return body;
  const parts = partsOf(row, "difference", metric, (each) => {
    const one = differenceAt(row, each, metric, reference);
    return one ? `${one.text} ${one.interval}, ${one.verdict}` : MISSING;
  });
  return [...body, make("h3", {}, "By benchmark"), make("ul", {}, ...parts)];
};
const pairBody = (row, { other }) => {
  const found = pairAt(board.rows.indexOf(row), Number(other));
  const facts = differenceFacts(found, "of all pairs of ranked entries");
  return [facts, sidesOf(row, found.other, board.places[0].id, board.rankBy), pageLink(row, found.other)];
};
const entryBody = (row) => [
  entryFacts(row),
  ...benchmarkIds().filter((place) => row.cells[place]).flatMap((place, i) => (
    [make("details", i ? {} : { open: "" }, make("summary", {}, place), ...originsOf(row, place))]
  )),
];
const outputsBody = (row, { place }) => {
  const cell = row.cells[place];
  const facts = factList([
    ["outputs", `${cell.outputs.toLocaleString("en")}, ${counted(cell.draws, "output")} for each question and seed`],
    ["cut off", `${percentText(cell.truncated)} % reached the token limit`],
    ["length", `${cell.outputTokens} tokens on average`],
  ]);
  if (place !== "macro") return [facts, ...originsOf(row, place)];
  const parts = partsOf(row, "outputs", "", (each) => `${percentText(row.cells[each].truncated)} % cut off, ${row.cells[each].outputTokens} tokens`);
  return [facts, make("h3", {}, "The mean of these, each counting alike"), make("ul", {}, ...parts)];
};
const costBody = (row) => [
  factList([
    ["FLOPs", `${row.cost.flops.text}, own stages + reference model`], ["tokens with loss", row.cost.tokens.text],
    ["time", row.cost.seconds.text],
  ]),
  make("p", {}, "Measured while training, the mean of one seed; every stage is charged in full, also where it was shared. All columns stand under “Training compute of one seed”."),
  ...entryBody(row).slice(1),
];

const KINDS = {
  metric: { title: (row, { metric, place }) => `${row.label}: ${nameOf(metric)}, ${placeName(place)}`, body: metricBody },
  difference: { title: (row, { metric, place, reference }) => `${row.label} against ${reference}: ${nameOf(metric)}, ${placeName(place)}`, body: differenceBody },
  pair: { title: (row, { other }) => `${row.label} against ${board.rows[other].label}: ${nameOf(board.rankBy)}, ${placeName(board.places[0].id)}`, body: pairBody },
  entry: { title: (row) => row.label, body: entryBody },
  outputs: { title: (row, { place }) => `${row.label}: outputs, ${placeName(place)}`, body: outputsBody },
  cost: { title: (row) => `${row.label}: training compute`, body: costBody },
};
const trail = [];
const showOrigin = (request) => {
  const row = board.rows[request.row];
  const { title, body } = KINDS[request.kind];
  byId("origin-title").textContent = title(row, request);
  byId("origin-body").replaceChildren(...body(row, request));
  byId("origin-body").scrollTop = 0;
  byId("origin-back").hidden = trail.length < 2;
};
const startProvenance = () => {
  const dialog = byId("origin");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.figure");
    if (!button) return;
    trail.push({ ...button.dataset });
    showOrigin(trail.at(-1));
    if (!dialog.open) dialog.showModal();
    byId("origin-title").focus();
  });
  byId("origin-close").addEventListener("click", () => dialog.close());
  byId("origin-back").addEventListener("click", () => {
    trail.pop();
    showOrigin(trail.at(-1));
    byId("origin-title").focus();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { trail.length = 0; });
};
