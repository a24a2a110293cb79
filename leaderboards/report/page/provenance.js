// Where the figures of one entry on one benchmark come from: a line for each seed, and what it was made with.
const FACTS = [
  ["checkpoint", 4], ["weights (digest)", 5], ["run", 6], ["questions and answers (digest)", 7],
  ["prompts (digest)", 8], ["engine", 9], ["numbers", 10], ["scorer (digest)", 11],
];
const seedName = (seed) => (seed === null ? "no seed" : `seed ${seed}`);
const factList = (pairs) => make("dl", {}, ...pairs.map(([name, value]) => (
  make("div", {}, make("dt", {}, name), make("dd", {}, ...[value].flat()))
)));
// One value where all seeds have the same, else one for each.
const agreed = (origins, valueOf) => {
  const values = origins.map(valueOf);
  if (new Set(values).size === 1) return values[0];
  return origins.map((origin, i) => make("span", { class: "line" }, `${seedName(origin[0])}: ${values[i]}`));
};
const settingsText = (origin) => board.settings[origin[3]].map(([key, value]) => `${key} ${value}`).join(" · ");

const seedTable = (origins) => {
  const head = ["seed", "right", "outputs", "accuracy"].map((text) => make("th", { scope: "col" }, text));
  const lines = origins.map(([seed, right, outputs]) => make(
    "tr", {}, make("th", { scope: "row" }, seedName(seed)),
    ...[right.toLocaleString("en"), outputs.toLocaleString("en"), `${(100 * right / outputs).toFixed(1)} %`].map((text) => make("td", {}, text)),
  ));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...lines));
};
const originFacts = (origins) => factList([
  ...FACTS.map(([name, at]) => [name, agreed(origins, (origin) => board.texts[origin[at]] || "not recorded")]),
  ["generation", agreed(origins, (origin) => settingsText(origin) || "not recorded")],
]);
const originsOf = (row, place) => {
  const origins = row.cells[place]?.origins;
  if (!origins) return [make("p", { class: "quiet" }, "Not recorded.")];
  const run = make("a", { href: "#provenance" }, "Provenance of the runs");
  run.addEventListener("click", () => byId("origin").close());
  return [
    make("h3", {}, "Right answers by seed (accuracy)"), seedTable(origins), make("h3", {}, "Made with"), originFacts(origins),
    make("p", {}, run),
  ];
};
const entryFacts = (row) => factList([
  ["model", row.model], ["role", row.role], ["tag format", row.tags], ["trained", row.method ?? "not here"],
  ["seeds", row.seeds ? String(row.seeds) : "none"],
  ...(row.licence ? [["licence", row.licence]] : []),
  ...(row.link ? [["from", row.openable ? make("a", { href: row.link, rel: "noopener noreferrer nofollow" }, row.link) : row.link]] : []),
  ...row.marks.map((mark) => ["not comparable", mark]),
]);

// The dialog behind every figure: what it is, how sure it is, and where it comes from.
const LEVEL = `${(100 * board.confidence).toFixed(0)} % interval`;
const benchmarkIds = () => board.places.map((each) => each.id).filter((id) => id !== "macro");
const going = (request, text) => {
  const button = make("button", { type: "button", class: "figure" }, text);
  Object.assign(button.dataset, request);
  return button;
};
const partsOf = (row, kind, metric, textOf) => benchmarkIds().filter((place) => row.cells[place]).map((place) => (
  make("li", {}, `${place}: `, going({ kind, metric, place, row: row.position, reference: state.reference }, textOf(place)))
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
  ["McNemar's exact test", mcnemarText(found)],
  ["standard error", `${(found.se / 100).toFixed(2)} points`],
  ["effect size", `Cohen's h ${signed(found.effect / 100, 2)}`],
  ["won : lost", `${found.gained.toLocaleString("en")} : ${found.lost.toLocaleString("en")} answers, over ${counted(found.n, "question")} and ${counted(found.mcnemar.length, "seed pair")}`],
  ["detectable", detectableText(found)],
]);
const sidesOf = (row, other, place, metric) => make("p", {}, "Of ", ...[row, other].flatMap((each, i) => {
  const request = { kind: "metric", row: each.position, place, metric };
  const figures = figuresOf(each, metric, place);
  return [i ? " and " : "", `${each.label} `, figures ? going(request, `${figureText(figures)} ${intervalText(figures)}`) : MISSING];
}), ".");
// The address that opens this comparison again, to be copied or sent.
const ownLink = (row, { place, metric, reference }, text = "Link to this comparison") => {
  const href = `${location.href.split("#")[0]}#${new URLSearchParams({ reference, metric, place, entry: row.label })}`;
  return make("p", {}, make("a", { href }, text));
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
  const body = [differenceFacts(found, family), sidesOf(row, found.other, place, metric), samplesLink(row, found.other, place), ownLink(row, { place, metric, reference })];
  if (place !== "macro") return body;
  const parts = partsOf(row, "difference", metric, (each) => {
    const one = differenceAt(row, each, metric, reference);
    return one ? `${one.text} ${one.interval}, ${one.verdict}` : MISSING;
  });
  return [...body, make("h3", {}, "By benchmark"), make("ul", {}, ...parts)];
};
const pairBody = (row, { other }) => {
  const found = pairAt(row.position, Number(other));
  const facts = differenceFacts(found, "of all pairs of ranked entries");
  const view = { place: board.places[0].id, metric: board.rankBy, reference: found.other.name };
  return [
    facts, sidesOf(row, found.other, view.place, view.metric),
    differenceAt(row, view.place, view.metric, view.reference)?.other === found.other
      ? ownLink(row, view, `With ${found.other.name} as the reference`) : "",
  ];
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
const openOrigin = (request) => {
  trail.push(request);
  showOrigin(request);
  if (!byId("origin").open) byId("origin").showModal();
  byId("origin-title").focus();
};
// Where the address names an entry, its comparison is open.
const openLinked = () => {
  const row = board.rows.find((each) => each.label === state.entry);
  if (!row || !differenceOf(row)) return;
  trail.length = 0;
  openOrigin({ kind: "difference", row: row.position, ...here(), reference: state.reference });
};
const startProvenance = () => {
  const dialog = byId("origin");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.figure");
    if (button) openOrigin({ ...button.dataset });
  });
  byId("origin-close").addEventListener("click", () => dialog.close());
  byId("origin-back").addEventListener("click", () => {
    trail.pop();
    showOrigin(trail.at(-1));
    byId("origin-title").focus();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    trail.length = 0;
    if (!state.entry) return;
    state.entry = "";
    writeAddress();
  });
};
