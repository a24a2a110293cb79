// The table of the entries. Every figure is a button that opens where it comes from (provenance.js).
const figure = (kind, row, data, ...children) => {
  const attributes = { type: "button", class: "figure", "aria-haspopup": "dialog", "data-kind": kind };
  const button = make("button", { ...attributes, "data-row": row.position }, ...children);
  for (const [name, value] of Object.entries(data)) button.dataset[name] = value;
  return button;
};
const here = (metric = state.metric) => ({ place: state.place, metric });

const entryCell = (row) => {
  const cell = make("th", { scope: "row" }, figure("entry", row, {}, row.label));
  const remarks = [];
  if (isReference(row)) remarks.push("reference");
  if (row.role === "external") remarks.push("evaluated here");
  if (row.role !== "trained" && row.role !== row.label) remarks.push(row.role);
  for (const remark of remarks) cell.append(" ", make("span", { class: "chip" }, remark));
  return cell;
};
const spanBar = ([mean, low, high]) => {
  const range = make("i", { style: `left:${low / 10}%;right:${100 - high / 10}%` });
  return make("span", { class: "span", "aria-hidden": "true" }, range, make("b", { style: `left:${mean / 10}%` }));
};
const seedLine = ({ bySeed }) => {
  if (!state.seeds) return "";
  return make("span", { class: "seeds" }, bySeed.length > 1 ? bySeed.map(percentText).join(" · ") : "one checkpoint");
};
const spreadOf = (row) => {
  const shares = figuresOf(row)?.bySeed ?? [];
  return shares.length > 1 ? Math.max(...shares) - Math.min(...shares) : null;
};
// The seeds as dots on a strip as wide as the widest spread that is shown, 5 points at least.
const seedsCell = (row) => {
  const spread = spreadOf(row);
  if (spread === null) return make("td", {}, row.seeds ? String(row.seeds) : MISSING);
  const widest = Math.max(50, ...visibleRows().map(spreadOf));
  const shares = figuresOf(row).bySeed;
  const left = (widest - spread) / 2 - Math.min(...shares);
  const dots = shares.map((share) => make("i", { style: `left:${(100 * (share + left)) / widest}%` }));
  const said = make("span", { class: "interval" }, `spread ${percentText(spread)}`);
  return make("td", {}, String(row.seeds), " ", said, make("span", { class: "dots", "aria-hidden": "true" }, ...dots));
};
const valueCell = (row) => {
  const figures = figuresOf(row);
  if (!figures) return make("td", {}, MISSING);
  const interval = make("span", { class: "interval" }, intervalText(figures));
  return make("td", {}, figure("metric", row, here(), figureText(figures), interval), spanBar(figures.shown), seedLine(figures));
};
const differenceCell = (row) => {
  const found = differenceOf(row);
  if (!found) return make("td", { class: "quiet" }, isReference(row) ? "reference" : MISSING);
  const kind = found.verdict in { better: 1, worse: 1 } ? found.verdict : "";
  const sign = { better: "▲ ", worse: "▼ ", "": "" }[kind];
  const number = make("span", { class: kind }, found.text + (kind && "*"));
  const interval = make("span", { class: "interval" }, found.interval);
  const data = { ...here(), reference: state.reference };
  const verdict = make("span", { class: `verdict ${kind}` }, sign + found.verdict);
  return make("td", {}, figure("difference", row, data, number, interval), verdict);
};
const metricCell = (metric) => (row) => {
  const figures = figuresOf(row, metric);
  return make("td", {}, figures ? figure("metric", row, here(metric), figureText(figures)) : MISSING);
};
const textCell = (kind, text) => (row) => {
  const found = text(row);
  return make("td", {}, found ? figure(kind, row, { place: state.place }, found) : MISSING);
};
const metricColumn = ({ id, name }) => ({
  id, name, metric: id, key: (row) => figuresOf(row, id)?.mean, cell: metricCell(id),
});
const costColumn = (id, name, key) => ({
  id, name, key: (row) => row.cost?.[key].number, cell: textCell("cost", (row) => row.cost?.[key].text),
});
const pCell = (row) => {
  const found = differenceOf(row);
  const data = { ...here(), reference: state.reference };
  return make("td", {}, found ? figure("difference", row, data, pText(found.pHolm)) : MISSING);
};
const columns = () => [
  { id: "entry", name: "entry", key: (row) => row.label, cell: entryCell },
  { id: "rank", name: "#", key: rankOf, cell: (row) => make("td", {}, rankOf(row)?.toString() ?? MISSING) },
  ...(tiersApply() ? [{
    id: "tier", name: "tier", key: (row) => row.tier, cell: (row) => make("td", {}, row.tier?.toString() ?? MISSING),
  }] : []),
  { ...metricColumn({ id: state.metric, name: nameOf(state.metric) }), id: "value", cell: valueCell },
  { id: "count", name: "seeds", key: spreadOf, cell: seedsCell },
  { id: "difference", name: `Δ ${state.reference}`, key: (row) => differenceOf(row)?.mean, cell: differenceCell },
  { id: "p", name: "Holm p", key: (row) => { const found = differenceOf(row); return found && Number(found.pHolm); }, cell: pCell },
  ...board.metrics.filter((metric) => metric.id !== state.metric).map(metricColumn),
  costColumn("flops", "train FLOPs", "flops"),
  costColumn("tokens", "loss tokens", "tokens"),
  costColumn("time", "train time", "seconds"),
  { id: "cut", name: "cut %", key: (row) => cellOf(row)?.truncated, cell: textCell("outputs", (row) => cellOf(row) && percentText(cellOf(row).truncated)) },
  { id: "out", name: "tokens out", key: (row) => cellOf(row)?.outputTokens, cell: textCell("outputs", (row) => cellOf(row)?.outputTokens.toString()) },
];

// What has no figure, or one that means something else, stays below whatever the direction.
const sorted = (rows, by) => {
  const sign = state.up ? 1 : -1;
  const last = (row) => (by.key(row) ?? null) === null || (by.metric && !comparable(row, by.metric));
  return [...rows].sort((left, right) => {
    if (last(left) !== last(right)) return last(left) - last(right);
    const [a, b] = [by.key(left) ?? 0, by.key(right) ?? 0];
    return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
  });
};
const sortBy = (id) => {
  const upFirst = ["entry", "rank", "tier", "p"].includes(id);
  state.up = (state.sort === id ? !state.up : upFirst) ? "1" : "";
  state.sort = id;
  writeAddress();
  drawTable();
  byId("table").querySelector(`[data-column="${id}"]`).focus();
};
const headOf = (all, current) => {
  const head = make("tr");
  for (const each of all) {
    const button = make("button", { type: "button", "data-column": each.id }, each.name);
    button.addEventListener("click", () => sortBy(each.id));
    const direction = each === current ? (state.up ? "ascending" : "descending") : "none";
    head.append(make("th", { scope: "col", "aria-sort": direction }, button));
  }
  return make("thead", {}, head);
};
// What others report stands below, without rank, interval or test.
const reportedLine = (entry, value, over, width) => {
  const name = make("th", { scope: "row" }, entry.label, " ", make("span", { class: "chip" }, "reported"));
  const source = entry.link ? make("a", { href: entry.link, rel: "noopener noreferrer nofollow" }, entry.source) : entry.source;
  const note = make("td", { class: "source", colspan: width - 3 - tiersApply() }, source, over && ` · ${over}`);
  const blank = () => make("td", {}, MISSING);
  return make("tr", { class: "reported" }, name, blank(), ...(tiersApply() ? [blank()] : []), make("td", {}, percentText(value)), note);
};
const ofThisView = ([place, metric]) => place === state.place && metric === state.metric;
const reportedHere = () => board.reported.filter((entry) => reportedShown(entry) && entry.figures.some(ofThisView));
const reportedLines = (width) => reportedHere().flatMap((entry) => (
  entry.figures.filter(ofThisView).map(([, , value, over]) => reportedLine(entry, value, over, width))
));
const drawTable = () => {
  const all = columns();
  const current = all.find((each) => each.id === state.sort) ?? all.find((each) => each.id === "value");
  const body = make("tbody");
  let tier = null;
  for (const row of sorted(visibleRows(), current)) {
    const classes = [isReference(row) ? "reference" : ""];
    if (current.id === "value" && tiersApply()) {
      if (tier !== null && row.tier !== tier) classes.push("tier-edge");
      tier = row.tier;
    }
    body.append(make("tr", { class: classes.join(" ").trim() }, ...all.map((each) => each.cell(row))));
  }
  body.append(...reportedLines(all.length));
  byId("table").replaceChildren(headOf(all, current), body);
  byId("caption").replaceChildren(...captionOf());
};
const captionOf = () => {
  const some = board.rows.map((row) => cellOf(row)).find(Boolean);
  const parts = some ? [`${nameOf(state.metric)} in %, ${placeName(state.place)}: ${counted(some.n, "question")}. `] : [];
  const found = board.rows.map(differenceOf).filter(Boolean).map((each) => each.detectable);
  if (Math.max(0, ...found)) {
    const [least, most] = [Math.min(...found), Math.max(...found)].map(percentText);
    const span = least === most ? least : `${least} to ${most}`;
    parts.push(`A true difference to ${state.reference} smaller than ${span} points, depending on the entry, would be missed more often than one time in five. `);
  }
  if (tiersApply() && board.rows.some((row) => row.tier)) {
    parts.push("No two entries of one tier can be told apart; each of a lower tier is worse than one of the tier above. ");
  }
  const notes = new Set(reportedHere().map((entry) => entry.note));
  if (notes.size) parts.push(`Reported, neither ranked nor tested: ${[...notes].join("; ")}. `);
  return parts;
};
