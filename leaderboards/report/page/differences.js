// A row's comparison to whichever reference is chosen, read from the packed records (packing.py).
const { references, records } = board.comparisons;
const VERDICTS = { "+": "better", "-": "worse", "=": "not distinguishable" };
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
const pairRecord = (row, other, at) => {
  const packed = records[`${Math.min(row, other)}-${Math.max(row, other)}`]?.[at];
  if (!packed) return null;
  return row < other ? unpackRecord(packed) : mirrored(unpackRecord(packed));
};
const worded = (found) => ({ ...found, text: pointsText(found.mean), interval: pointsRange(found.low, found.high) });
const differenceAt = (row, place = state.place, metric = state.metric, name = state.reference) => {
  const reference = references.find((each) => each.name === name);
  const number = board.rows.indexOf(row);
  const other = reference?.partners[number] ?? null;
  if (other === null || !(place in placeAt)) return null;
  const at = placeAt[place] * board.metrics.length + metricAt[metric];
  const found = pairRecord(number, other, at);
  const verdict = VERDICTS[reference.verdicts[number * SIZE + at]];
  if (!found || !verdict) return null;
  return {
    ...worded(found), verdict, other: board.rows[other],
    pHolm: reference.pHolm[number * SIZE + at],
    permutation: reference.permutation?.[number * SIZE + at] ?? null,
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
    other: board.rows[other], permutation: null, family: board.numPairs,
  };
};
