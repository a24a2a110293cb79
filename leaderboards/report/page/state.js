// What the reader chose, and the same in the address, so that a view can be linked: reference, metric, place (a
// benchmark or `macro`), filters; with `entry` the comparison of that one. `#compare=…` is the samples'.
const DEFAULTS = {
  reference: board.reference, metric: board.rankBy, place: board.places[0]?.id, sort: "value", up: "",
  search: "", role: "", model: "", tags: "", tier: "", seeds: "", entry: "", alpha: String(board.alpha),
};
const state = { ...DEFAULTS };
const ALLOWED = {
  reference: (value) => board.comparisons.references.some((each) => each.name === value),
  metric: (value) => board.metrics.some((each) => each.id === value),
  place: (value) => board.places.some((each) => each.id === value),
  entry: (value) => board.rows.some((row) => row.label === value),
  alpha: (value) => Number(value) >= 0 && Number(value) <= 1,
};
const readAddress = () => {
  if (location.hash.startsWith("#compare=")) return false;
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash && ![...given.keys()].some((key) => key in DEFAULTS)) return false;
  for (const [key, usual] of Object.entries(DEFAULTS)) {
    const value = given.get(key) ?? usual;
    state[key] = (ALLOWED[key] ?? (() => true))(value) ? value : usual;
  }
  return true;
};
const writeAddress = () => {
  const changed = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]);
  const text = new URLSearchParams(changed).toString();
  history.replaceState(null, "", text ? `#${text}` : location.href.split("#")[0]);
};

const cellOf = (row) => row.cells[state.place];
const figuresOf = (row, metric = state.metric, place = state.place) => row.cells[place]?.metrics[metric];
const isReference = (row) => row.name === state.reference;
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
// Tiers come from the test of all pairs on the board's own metric, over all benchmarks.
const tiersApply = () => state.metric === board.rankBy && state.place === board.places[0].id;
const figureText = (figures) => percentText(figures.shown[0]) + (figures.ownFormat ? "†" : "");
const intervalText = (figures) => rangeText(figures.shown[1], figures.shown[2]);

// A row's comparison to whichever reference is chosen, read from the packed records (payload.py).
const { references, records } = board.comparisons;
const VERDICTS = { "+": "better", "-": "worse", "=": "equivalent", "?": "undecided" };
const placeAt = Object.fromEntries(board.places.map((place, i) => [place.id, i]));
const metricAt = Object.fromEntries(board.metrics.map((metric, i) => [metric.id, i]));
const SIZE = board.places.length * board.metrics.length;

const unpackRecord = ([mean, low, high, p, se, effect, n, gained, lost, detectable, ...mcnemar]) => ({
  mean, low, high, p, se, effect, n, gained, lost, detectable, mcnemar,
});
const mirrored = (found) => ({
  ...found, mean: -found.mean, low: -found.high, high: -found.low, effect: -found.effect,
  gained: found.lost, lost: found.gained,
});
// One direction of each comparison is in the page: both would make its data half as large again.
const pairRecord = (row, other, at) => {
  const own = records[`${row}-${other}`];
  const packed = (own ?? records[`${other}-${row}`])?.[at];
  if (!packed) return null;
  return own ? unpackRecord(packed) : mirrored(unpackRecord(packed));
};
const worded = (found) => ({ ...found, text: pointsText(found.mean), interval: pointsRange(found.low, found.high) });
const differenceAt = (row, place = state.place, metric = state.metric, name = state.reference) => {
  const reference = references.find((each) => each.name === name);
  const number = row.position;
  const other = reference?.partners[number] ?? null;
  if (other === null || !(place in placeAt)) return null;
  const at = placeAt[place] * board.metrics.length + metricAt[metric];
  const found = pairRecord(number, other, at);
  const verdict = VERDICTS[reference.verdicts[number * SIZE + at]];
  if (!found || !verdict) return null;
  return {
    ...worded(found), verdict, other: board.rows[other],
    pHolm: reference.pHolm[number * SIZE + at],
    family: reference.families[metric][place === "macro" ? 0 : 1],
  };
};
const differenceOf = (row) => differenceAt(row);
const pairAt = (row, other) => {
  const [low, high] = [Math.min(row, other), Math.max(row, other)];
  const [pHolm, verdict, packed] = board.pairs[`${low}-${high}`];
  const found = unpackRecord(packed);
  const turned = { better: "worse", worse: "better" }[verdict] ?? verdict;
  return {
    ...worded(row < other ? found : mirrored(found)), pHolm, verdict: row < other ? verdict : turned,
    other: board.rows[other], family: board.numPairs,
  };
};
