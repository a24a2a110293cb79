// What the table and all charts share. Names and outputs reach the page only as text nodes, and Plotly only
// with its markup characters escaped. The scripts are joined in one function, in the order that `render` lists.
const board = JSON.parse(document.getElementById("board").textContent);
const MISSING = "–";
// Okabe and Ito's palette, which the colour-blind can tell apart.
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8F98", "#B3A500"];
const DASHES = ["solid", "dash", "dot", "dashdot"];

const byId = (id) => document.getElementById(id);
const plotText = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
// A row keeps its tone, dash and symbol in every chart of every page; neighbours differ in all three.
const toneOf = (row) => PALETTE[row.position % PALETTE.length];
const dashOf = (row) => DASHES[(row.position + Math.floor(row.position / PALETTE.length)) % DASHES.length];
const SYMBOLS = ["circle", "square", "triangle-up", "x", "star", "cross", "triangle-down"];
const symbolOf = (row) => SYMBOLS[row.position % SYMBOLS.length] + (row.tagged ? "" : "-open");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// On paper, whose width is not known before, two charts stand side by side.
const PRINTING = "printing";
const PRINTED_PIXELS = 490;
const widthOf = () => (document.documentElement.classList.contains(PRINTING) ? { width: PRINTED_PIXELS } : {});
const layout = (more) => ({
  ...widthOf(),
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: "system-ui, sans-serif", size: 13, color: colour("--ink") },
  margin: { l: 56, r: 16, t: 8, b: 48 }, hoverlabel: { align: "left" }, ...more,
});
const axis = (title, more = {}) => ({
  title: { text: title, font: { size: 13 } }, gridcolor: colour("--line"), zeroline: false,
  linecolor: colour("--line"), automargin: true, tickangle: 0, ...more,
});
const config = { displayModeBar: false, responsive: true };

// How figures are worded. Python has rounded them to whole tenths of a percent or of a point (payload.py), so
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
const nameOf = (metric) => board.metrics.find((each) => each.id === metric).name;
const placeName = (place) => board.places.find((each) => each.id === place)?.name ?? place;

// Charts are drawn when they come into view: most are never looked at, and each takes a tenth of a second.
const charts = (() => {
  const drawing = new Map();
  const inView = new Set();
  const stale = new Set();
  const drawNow = (node) => {
    stale.delete(node);
    drawing.get(node)();
  };
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) inView.add(target); else inView.delete(target);
      if (isIntersecting && stale.has(target)) drawNow(target);
    }
  }, { rootMargin: "400px" });
  return {
    // What draws a chart; it is called again whenever what it shows has changed.
    add: (node, draw) => {
      if (!node) return;
      drawing.set(node, draw);
      stale.add(node);
      observer.observe(node);
    },
    changed: (nodes = drawing.keys()) => {
      for (const node of nodes) if (inView.has(node)) drawNow(node); else stale.add(node);
    },
    drawAll: () => { for (const node of stale) drawNow(node); },
  };
})();
