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
