// How figures are worded. Python has rounded them to whole tenths of a percent or of a point (packing.py), so
// that the page says what the other reports say; here they only get their point and their sign.
const percentText = (tenths) => (tenths / 10).toFixed(1);
const signed = (number, digits) => (
  number === 0 ? (0).toFixed(digits) : (number > 0 ? "+" : "−") + Math.abs(number).toFixed(digits)
);
const pointsText = (tenths) => (tenths === 0 ? "0.0" : signed(tenths / 10, 1));
const rangeText = (low, high) => `[${percentText(low)}, ${percentText(high)}]`;
const pointsRange = (low, high) => `[${pointsText(low)}, ${pointsText(high)}]`;
// Python sends 0 for what is below 0.001, else two digits, from 0.095 on two decimals; the text where that differs.
const PLAIN_BELOW = 0.0955;
const pText = (p) => {
  if (typeof p === "string") return p;
  if (p === 0) return "< 0.001";
  return p < PLAIN_BELOW ? String(p) : p.toFixed(2);
};
const pEquals = (p) => (p === 0 ? "p < 0.001" : `p = ${pText(p)}`);
const counted = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const listed = (names) => (
  names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0] ?? ""
);
const nameOf = (metric) => board.metrics.find((each) => each.id === metric).name;
const placeName = (place) => board.places.find((each) => each.id === place)?.name ?? place;
