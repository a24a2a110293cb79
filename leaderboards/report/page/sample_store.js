// The samples in the page (samples.py packs them): unpacked chunk by chunk when they are looked at, compared,
// searched. The chunks may stand behind this script, so that the page need not wait. Null where there are none.
const sampleStore = !byId("samples-index") ? null : (() => {
  const MOST_KEPT = 300;
  const index = JSON.parse(byId("samples-index").textContent);
  const size = index.blockQuestions;
  const unpacked = new Map();
  const parsed = new Promise((resolve) => {
    if (document.readyState !== "loading") resolve();
    else document.addEventListener("DOMContentLoaded", resolve, { once: true });
  });

  const bytesOf = (base64) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    return bytes;
  };
  const unpack = async (name) => {
    await parsed;
    const packed = new Blob([bytesOf(byId(name).textContent)]).stream();
    return new Response(packed.pipeThrough(new DecompressionStream("deflate"))).json();
  };
  // The least recently used goes first, so that a search over all does not keep all.
  const chunk = (name) => {
    const content = unpacked.get(name) ?? unpack(name);
    unpacked.delete(name);
    unpacked.set(name, content);
    if (unpacked.size > MOST_KEPT) unpacked.delete(unpacked.keys().next().value);
    return content;
  };
  const block = (names, question) => chunk(names[Math.floor(question / size)]);
  const item = async (names, question) => (await block(names, question))[question % size];

  // The lines that all prompts of a block begin with, such as worked examples, tell no question from another.
  const shared = new WeakMap();
  const sharedChars = (prompts) => {
    if (!shared.has(prompts)) {
      let end = prompts[0].length;
      for (const prompt of prompts) {
        let same = 0;
        while (same < end && prompt[same] === prompts[0][same]) same += 1;
        end = same;
      }
      shared.set(prompts, prompts.length > 1 && end ? prompts[0].lastIndexOf("\n", end - 1) + 1 : 0);
    }
    return shared.get(prompts);
  };

  const cells = (row, benchmark) => (
    index.cells.filter((cell) => cell.row === row && cell.benchmark === benchmark)
  );
  const isSeedless = (side) => side.length === 1 && side[0].seed === null;
  const RIGHT = 1;
  // Several outputs to one question count as right where more than half of them are.
  const isRight = (flags) => 2 * flags.filter((each) => each & RIGHT).length > flags.length;

  const store = {
    index,
    rows: [...new Set(index.cells.map((cell) => cell.row))],
    benchmarks: (a, b) => (
      Object.keys(index.benchmarks).filter((name) => cells(a, name).length && cells(b, name).length)
    ),
    // As the board pairs seeds: the same with the same, one without seeds with each, others in order.
    pairs: (a, b, benchmark) => {
      const [mine, theirs] = [cells(a, benchmark), cells(b, benchmark)];
      if (isSeedless(mine) || isSeedless(theirs)) return mine.flatMap((one) => theirs.map((two) => [one, two]));
      const same = mine.map((one) => [one, theirs.find((two) => two.seed === one.seed)]);
      const found = same.filter(([, two]) => two);
      return found.length ? found : mine.slice(0, theirs.length).map((one, i) => [one, theirs[i]]);
    },
    outputs: (cell, question) => item(cell.outputs, question),
    prompt: async (cell, question) => {
      const prompts = await block(cell.prompts, question);
      const text = prompts[question % size];
      return { text, own: text.slice(sharedChars(prompts)) };
    },
    question: async (benchmark, question) => {
      const [id, gold, choices] = await item(index.benchmarks[benchmark].questions, question);
      return { id, gold, choices };
    },
    // Each question with each pair of seeds, and who is right; unpacks verdicts alone.
    compare: async (pairs, benchmark) => {
      const used = [...new Set(pairs.flat())];
      const read = await Promise.all(used.map((cell) => chunk(cell.verdicts)));
      const verdicts = new Map(used.map((cell, i) => [cell, read[i]]));
      const all = [];
      for (let question = 0; question < index.benchmarks[benchmark]?.size; question += 1) {
        for (const pair of pairs) {
          const [mine, theirs] = pair.map((cell) => verdicts.get(cell).flags[question]);
          if (!mine.length || !theirs.length) continue;
          all.push({ benchmark, question, pair, a: isRight(mine), b: isRight(theirs) });
        }
      }
      return { pairs, verdicts, all };
    },
    // Those whose question, gold, choices, answers or outputs hold a text in lower case.
    search: async ({ verdicts }, items, needle, isStale, progress) => {
      const haystack = async ({ benchmark, question, pair }) => {
        const asked = await store.question(benchmark, question);
        const { own } = await store.prompt(pair[0], question);
        const outputs = await Promise.all(pair.map((cell) => store.outputs(cell, question)));
        const written = outputs.flat().map((pieces) => pieces.map((piece) => piece.slice(1)).join(""));
        const answers = pair.flatMap((cell) => verdicts.get(cell).extracted[question]);
        return [asked.id, own, asked.gold, ...(asked.choices ?? []), ...answers, ...written].join("\n");
      };
      const found = [];
      let told = performance.now();
      for (let i = 0; i < items.length && !isStale(); i += 1) {
        if ((await haystack(items[i])).toLowerCase().includes(needle)) found.push(items[i]);
        if (performance.now() - told > 100) {
          progress(i, found.length);
          await new Promise((resolve) => { setTimeout(resolve); });
          told = performance.now();
        }
      }
      return found;
    },
  };
  return store;
})();
