// Which entries are shown: by name, role, model, format and tier. The charts follow the table.
const TESTS = {
  search: (row, value) => `${row.name} ${row.model}`.toLowerCase().includes(value.trim().toLowerCase()),
  role: (row, value) => row.role === value,
  model: (row, value) => row.model === value,
  tags: (row, value) => row.tagged === (value === "tagged"),
  tier: (row, value) => String(row.tier) === value,
};
const visibleRows = () => board.rows.filter((row) => (
  row.cells && Object.entries(TESTS).every(([key, test]) => !state[key] || test(row, state[key]))
));
const reportedShown = (entry) => (
  ["tags", "tier"].every((key) => !state[key]) && (!state.role || state.role === "reported")
  && ["search", "model"].every((key) => !state[key] || TESTS[key](entry, state[key]))
);
const MOST_LINES = 8;
// A chart of lines shows few: the first of the table and the reference.
const chartRows = (has) => {
  const rows = visibleRows().filter(has);
  if (rows.length <= MOST_LINES) return rows;
  const first = rows.slice(0, MOST_LINES - 1);
  const reference = rows.find((row) => isReference(row) && !first.includes(row));
  return reference ? [...first, reference] : rows.slice(0, MOST_LINES);
};

const sayWhichAreDrawn = () => {
  const cut = visibleRows().length > MOST_LINES;
  const text = `Drawn are the best ${MOST_LINES - 1} of the entries shown and the reference: filter the table to choose others.`;
  for (const note of document.querySelectorAll(".few")) note.textContent = cut ? text : "";
};
const drawCount = () => {
  sayWhichAreDrawn();
  const [shown, all] = [visibleRows().length, board.rows.length];
  const reported = byId("table").querySelectorAll(".reported").length;
  const more = reported ? `, and ${reported} reported elsewhere` : "";
  byId("count").textContent = `${shown} of ${counted(all, "entry", "entries")} shown${more}.`;
};
const distinct = (values) => [...new Set(values)].map((value) => ({ id: String(value), name: String(value) }));
const FILTERS = () => ({
  role: [...distinct(board.rows.map((row) => row.role)), ...(board.reported.length ? [{ id: "reported", name: "reported" }] : [])],
  model: distinct([...board.rows, ...board.reported].map((row) => row.model)),
  tags: board.rows.some((row) => row.tagged) && board.rows.some((row) => !row.tagged)
    ? [{ id: "tagged", name: "tagged" }, { id: "untagged", name: "without tags" }] : [],
  tier: distinct(board.rows.map((row) => row.tier).filter(Boolean).sort((a, b) => a - b)),
});
const fillSelect = (id, options) => {
  byId(id).replaceChildren(...options.map((option) => make("option", { value: option.id }, option.name)));
};
const showControls = () => {
  for (const id of ["reference", "metric", "place", "role", "model", "tags", "tier", "search"]) byId(id).value = state[id];
  byId("seeds").checked = Boolean(state.seeds);
};
const changed = (key, value) => {
  state[key] = value;
  writeAddress();
  draw();
};
const startFilters = () => {
  if (!byId("search")) return;
  for (const [id, options] of Object.entries(FILTERS())) {
    fillSelect(id, [{ id: "", name: "all" }, ...options]);
    byId(id).parentElement.hidden = options.length < 2;
    byId(id).addEventListener("change", () => changed(id, byId(id).value));
  }
  byId("search").addEventListener("input", () => changed("search", byId("search").value));
  byId("seeds").addEventListener("change", () => changed("seeds", byId("seeds").checked ? "1" : ""));
  byId("clear").addEventListener("click", () => {
    for (const key of Object.keys(TESTS)) state[key] = "";
    writeAddress();
    showControls();
    draw();
  });
};
const startChoices = () => {
  fillSelect("reference", references.map(({ name }) => ({ id: name, name })));
  fillSelect("metric", board.metrics);
  fillSelect("place", board.places);
  for (const id of ["reference", "metric", "place"]) {
    byId(id).parentElement.hidden = byId(id).options.length < 2;
    byId(id).addEventListener("change", () => changed(id, byId(id).value));
  }
};
