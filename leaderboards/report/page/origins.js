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
