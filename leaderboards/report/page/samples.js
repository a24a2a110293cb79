// The sample browser: for two entries, the questions by who is right, and each opened side by side. Whatever a
// model wrote becomes a text node, never markup. A block of its own, so that its names stay here.
if (sampleStore) {
  const PAGE = 20;
  // Bits of a verdict, as `_flags` in samples.py sets them: in the order of a Sample's fields.
  const [RIGHT, STRICT, VALID, TRUNCATED, JUDGED, JUDGED_RIGHT] = [1, 2, 4, 8, 16, 32];
  const { index } = sampleStore;
  const view = { a: 0, b: 0, benchmark: "", seed: "all", which: "differ", needle: "", page: 0 };
  let compared = { pairs: [], verdicts: new Map(), all: [] };
  let found = [];
  let turn = 0;

  const nameA = () => index.rows[view.a];
  const nameB = () => index.rows[view.b];
  const WHICH = [
    { id: "differ", name: () => "one right, the other wrong", holds: (a, b) => a !== b },
    { id: "a", name: () => `only ${nameA()} (A) right`, holds: (a, b) => a && !b },
    { id: "b", name: () => `only ${nameB()} (B) right`, holds: (a, b) => b && !a },
    { id: "both", name: () => "both right", holds: (a, b) => a && b },
    { id: "neither", name: () => "both wrong", holds: (a, b) => !a && !b },
    { id: "all", name: () => "all", holds: () => true },
  ];
  const count = (number) => number.toLocaleString("en");
  const mark = (right) => (right ? "✓" : "✗");
  const named = (text) => make("span", { class: "name" }, text);
  const seedText = ({ seed }) => (seed === null ? "no seed" : `seed ${seed}`);
  const seedName = ([mine, theirs]) => (
    mine.seed === theirs.seed ? seedText(mine) : `A ${seedText(mine)}, B ${seedText(theirs)}`
  );
  const status = (text) => { byId("samples-status").textContent = text; };

  // What a question was, and what an entry wrote.
  const textBox = (text, name, kind = "") => {
    // What may be cut off, on a phone after some 14 lines, must be reached by the keyboard to be scrolled.
    const lines = text.split("\n").reduce((sum, line) => sum + Math.ceil((line.length + 1) / 30), 0);
    const scrolled = lines > 14 ? { tabindex: "0", role: "group", "aria-label": name } : {};
    return make("div", { class: `text ${kind}`, dir: "auto", ...scrolled }, text);
  };
  const textPiece = (text, name) => make("div", { class: "piece" }, named(name), textBox(text, name, name));
  const PIECES = { r: "reasoning", a: "answer" };
  const outputParts = (pieces) => {
    if (!pieces.length) return [make("p", { class: "quiet" }, "(the output is empty)")];
    if (pieces.length === 1 && pieces[0][0] === "_") return [textPiece(pieces[0].slice(1), "output")];
    const shown = pieces.filter((piece) => piece[0] !== "_" || piece.slice(1).trim());
    return shown.map((piece) => {
      const name = PIECES[piece[0]];
      return name ? textPiece(piece.slice(1), name) : textBox(piece.slice(1), "around it", "between");
    });
  };
  const verdictList = (flags, defects, tokens) => {
    const chip = (bit, good, bad) => (
      make("li", { class: flags & bit ? "better" : "worse" }, mark(flags & bit), " ", flags & bit ? good : bad)
    );
    const chips = [
      chip(RIGHT, "right", "wrong"), chip(STRICT, "strictly right", "not strictly right"),
      chip(VALID, "format valid", "format not valid"),
    ];
    if (flags & JUDGED) chips.push(chip(JUDGED_RIGHT, "judge: right", "judge: wrong"));
    const known = flags & TRUNCATED && !defects.includes("truncated") ? [...defects, "truncated"] : defects;
    chips.push(...known.map((defect) => make("li", { class: "worse" }, defect)));
    const all = [...chips, make("li", {}, `${count(tokens)} tokens`)];
    return make("ul", { class: "verdicts", "aria-label": "Verdict" }, ...all);
  };
  const side = async (letter, cell, question) => {
    const { flags, defects, tokens, extracted } = compared.verdicts.get(cell);
    const outputs = await sampleStore.outputs(cell, question);
    const heading = `${letter} ${index.rows[cell.row]}${cell.seed === null ? "" : `, seed ${cell.seed}`}`;
    const answer = (i) => make("bdi", {}, extracted[question][i] ?? "none");
    const written = outputs.map((pieces, i) => make(
      "div", { class: "output" },
      outputs.length > 1 ? make("h4", {}, `output ${i + 1} of ${outputs.length}`) : "",
      verdictList(flags[question][i], index.defects[defects[question][i]], tokens[question][i]),
      make("p", { class: "extracted" }, named("extracted answer"), " ", answer(i)),
      ...outputParts(pieces),
    ));
    return make("div", { class: "side" }, make("h3", {}, heading), ...written);
  };
  const asked = async ({ benchmark, question, pair }) => {
    const { gold, choices } = await sampleStore.question(benchmark, question);
    const [one, two] = await Promise.all(pair.map((cell) => sampleStore.prompt(cell, question)));
    const prompts = one.text === two.text ? [textPiece(one.text, "prompt")] : [
      textPiece(one.text, "prompt of A"), textPiece(two.text, "prompt of B"),
    ];
    const letter = (i) => String.fromCharCode(65 + i);
    const lines = choices?.map((text, i) => make("li", { dir: "auto" }, `${letter(i)}. ${text}`));
    return make(
      "div", { class: "asked" }, make("div", prompts.length > 1 ? { class: "sides" } : {}, ...prompts),
      lines ? make("ul", { class: "choices", "aria-label": "Choices" }, ...lines) : "",
      make("p", { class: "gold" }, named("gold"), " ", make("bdi", {}, gold)),
    );
  };

  // The list of questions, a page at a time.
  const answersOf = (letter, cell, question, right) => {
    const answers = compared.verdicts.get(cell).extracted[question].map((each) => each ?? MISSING);
    return make(
      "span", { class: right ? "given better" : "given worse" },
      `${letter} ${mark(right)} `, make("span", { class: "hidden" }, right ? "right: " : "wrong: "),
      make("bdi", {}, [...new Set(answers)].join(" | ")),
    );
  };
  const entry = async (item, isStale) => {
    const { benchmark, question, pair: [mine, theirs] } = item;
    const { id, gold } = await sampleStore.question(benchmark, question);
    const { own } = await sampleStore.prompt(mine, question);
    const seed = compared.pairs.length > 1 ? make("span", { class: "chip" }, seedName(item.pair)) : " ";
    const details = make("details", {}, make(
      "summary", {},
      make(
        "span", { class: "question" },
        make("span", { class: "quiet" }, id, seed, "gold ", make("bdi", {}, gold)),
        make("span", { class: "opening", dir: "auto" }, own.trim().slice(0, 240)),
      ),
      answersOf("A", mine, question, item.a), answersOf("B", theirs, question, item.b),
    ));
    const open = async () => {
      const parts = await Promise.all([asked(item), side("A", mine, question), side("B", theirs, question)]);
      details.append(parts[0], make("div", { class: "sides" }, parts[1], parts[2]));
    };
    details.addEventListener("toggle", () => {
      if (!details.open || details.dataset.filled || isStale()) return;
      details.dataset.filled = "true";
      open();
    });
    return details;
  };
  const beginTurn = () => {
    turn += 1;
    const mine = turn;
    return () => mine !== turn;
  };
  const drawPage = async (isStale) => {
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    view.page = Math.min(view.page, last);
    const start = view.page * PAGE;
    const shown = await Promise.all(found.slice(start, start + PAGE).map((item) => entry(item, isStale)));
    if (isStale()) return;
    byId("samples-list").replaceChildren(...shown);
    const range = `${count(start + 1)}–${count(start + shown.length)} of ${count(found.length)}`;
    byId("samples-page").textContent = shown.length ? range : "";
    byId("samples-previous").disabled = view.page === 0;
    byId("samples-next").disabled = view.page === last;
    byId("samples-open").disabled = !shown.length;
    byId("samples-open").setAttribute("aria-pressed", "false");
  };

  // Who is right how often; each number is a button that lists its questions.
  const countCell = (id) => {
    const { name, holds } = WHICH.find((each) => each.id === id);
    const text = count(compared.all.filter((each) => holds(each.a, each.b)).length);
    const button = make("button", {
      type: "button", "aria-pressed": view.which === id, "aria-label": `${text}: show ${name()}`,
    }, text);
    button.addEventListener("click", () => {
      show({ which: id });
      byId("samples-counts").querySelector('[aria-pressed="true"]').focus();
    });
    return make("td", {}, button);
  };
  const drawCounts = () => {
    const [all, seeds] = [compared.all.length, compared.pairs.length];
    const draws = Math.max(...compared.pairs.flat().map((cell) => cell.draws));
    const what = seeds > 1 ? ` (${count(all / seeds)} questions × ${seeds} seeds)` : " questions";
    const meaning = draws > 1 ? "; right: more than half of the outputs to a question" : "";
    const caption = `How many of ${count(all)}${what}${meaning}`;
    const head = (text, scope) => make("th", { scope }, text);
    byId("samples-counts").replaceChildren(
      make("caption", { id: "samples-counts-name", class: "quiet" }, caption),
      make("thead", {}, make(
        "tr", {}, make("td"), head(`B ${nameB()} ✓ right`, "col"), head("B ✗ wrong", "col"),
      )),
      make(
        "tbody", {},
        make("tr", {}, head(`A ${nameA()} ✓ right`, "row"), countCell("both"), countCell("a")),
        make("tr", {}, head("A ✗ wrong", "row"), countCell("b"), countCell("neither")),
      ),
    );
  };

  const fill = (id, options, value) => {
    byId(id).replaceChildren(...options.map((each) => make("option", { value: each.id }, each.name)));
    byId(id).value = value;
  };
  const list = async () => {
    const isStale = beginTurn();
    drawCounts();
    fill("samples-which", WHICH.map(({ id, name }) => ({ id, name: name() })), view.which);
    const { name, holds } = WHICH.find((each) => each.id === view.which);
    const items = compared.all.filter((each) => holds(each.a, each.b));
    const needle = view.needle.trim();
    const of = `of ${count(items.length)}`;
    const progress = (done, hits) => status(`Searching: ${count(done)} ${of}, ${count(hits)} found…`);
    const sought = needle.toLowerCase();
    const hits = sought ? await sampleStore.search(compared, items, sought, isStale, progress) : items;
    if (isStale()) return;
    found = hits;
    const shown = `${count(found.length)}${needle ? ` ${of} with “${needle}”` : ""}: ${name()}.`;
    status(view.benchmark ? shown : "These two have no benchmark in common.");
    await drawPage(isStale);
  };
  const show = (changes) => {
    Object.assign(view, changes, { page: 0 });
    return list();
  };
  const drawChoices = () => {
    const benchmarks = sampleStore.benchmarks(view.a, view.b);
    if (!benchmarks.includes(view.benchmark)) view.benchmark = benchmarks[0] ?? "";
    const pairs = sampleStore.pairs(view.a, view.b, view.benchmark);
    if (!pairs[Number(view.seed)]) view.seed = pairs.length === 1 ? "0" : "all";
    const seeds = pairs.map((pair, i) => ({ id: String(i), name: seedName(pair) }));
    const entries = sampleStore.rows.map((row) => ({ id: String(row), name: index.rows[row] }));
    fill("samples-a", entries, String(view.a));
    fill("samples-b", entries, String(view.b));
    fill("samples-benchmark", benchmarks.map((name) => ({ id: name, name })), view.benchmark);
    fill("samples-seed", pairs.length > 1 ? [{ id: "all", name: "all seeds" }, ...seeds] : seeds, view.seed);
    return view.seed === "all" ? pairs : [pairs[Number(view.seed)]];
  };
  const update = async (changes) => {
    Object.assign(view, changes);
    const isStale = beginTurn();
    const pairs = drawChoices();
    status("Reading…");
    const read = await sampleStore.compare(pairs, view.benchmark);
    if (isStale()) return;
    compared = read;
    await show({});
  };

  // `#compare=A,B,benchmark`, each as encodeURIComponent gives it.
  const linked = () => {
    if (!location.hash.startsWith("#compare=")) return null;
    try {
      const names = location.hash.slice("#compare=".length).split(",").map(decodeURIComponent);
      const [a, b] = names.map((name) => index.rows.indexOf(name));
      if (![a, b].every((row) => sampleStore.rows.includes(row))) return null;
      return { a, b, benchmark: names[2] ?? view.benchmark, seed: "all", which: "differ" };
    } catch { return null; }
  };
  const follow = () => {
    const changes = linked();
    if (!changes) return;
    update(changes);
    byId("samples").scrollIntoView();
  };
  const change = (changes) => {
    update(changes);
    const names = [nameA(), nameB(), view.benchmark].map(encodeURIComponent);
    history.replaceState(null, "", `#compare=${names.join(",")}`);
  };

  const on = (id, event, act) => {
    const node = byId(`samples-${id}`);
    node.addEventListener(event, () => act(node));
  };
  const turnPage = (by) => {
    view.page += by;
    drawPage(beginTurn());
    byId("samples-status").scrollIntoView({ block: "nearest" });
  };
  const listen = () => {
    on("a", "change", (select) => change({ a: Number(select.value) }));
    on("b", "change", (select) => change({ b: Number(select.value) }));
    on("swap", "click", () => change({ a: view.b, b: view.a }));
    on("benchmark", "change", (select) => change({ benchmark: select.value, seed: "all" }));
    on("seed", "change", (select) => change({ seed: select.value }));
    on("which", "change", (select) => show({ which: select.value }));
    let waiting;
    on("search", "input", (input) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => show({ needle: input.value }), 250);
    });
    on("previous", "click", () => turnPage(-1));
    on("next", "click", () => turnPage(1));
    on("open", "click", (button) => {
      const open = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", open);
      for (const each of byId("samples-list").children) each.open = open;
    });
    byId("samples-list").addEventListener("keydown", (event) => {
      const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      const next = step && event.target.matches("summary") && event.target.parentElement[step];
      if (!next) return;
      next.firstElementChild.focus();
      event.preventDefault();
    });
    addEventListener("hashchange", follow);
  };
  const start = () => {
    if (!window.DecompressionStream) {
      status("This browser is too old to unpack the samples; any of 2023 or later can.");
      return;
    }
    const { rows } = sampleStore;
    view.b = rows.includes(index.reference) ? index.reference : rows[0];
    view.a = rows.find((row) => row !== view.b) ?? view.b;
    listen();
    if (linked()) follow();
    else update({});
  };
  start();
}
