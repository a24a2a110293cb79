// What the reader chose, and the same in the address, so that a view can be linked. `#compare=…` is the samples'.
const DEFAULTS = {
  reference: board.reference, metric: board.rankBy, place: board.places[0]?.id, sort: "value", up: "",
  search: "", role: "", model: "", tags: "", tier: "", seeds: "", alpha: String(board.alpha),
};
const state = { ...DEFAULTS };
const ALLOWED = {
  reference: (value) => board.comparisons.references.some((each) => each.name === value),
  metric: (value) => board.metrics.some((each) => each.id === value),
  place: (value) => board.places.some((each) => each.id === value),
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
const tiersApply = () => (
  board.view === "board" && state.metric === board.rankBy && state.place === board.places[0].id
);
const figureText = (figures) => percentText(figures.shown[0]) + (figures.ownFormat ? "†" : "");
const intervalText = (figures) => rangeText(figures.shown[1], figures.shown[2]);
