// The section "Training": two charts for each group of quantities that was measured, all under one legend.
const training = {
  along: "tokens",
  panels: [],
  shown: new Set(board.rows.filter((row) => row.curve?.shown)),
};
const trainedRows = board.rows.filter((row) => row.curve);
const AXES = [{ id: "tokens", name: "tokens forward" }, { id: "steps", name: "optimiser steps" }];
const FEW_POINTS = 24;

const faint = (hex) => `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},0.16)`;
const reversed = (values) => [...values].reverse();

const bandOf = (row, quantity, line, x) => {
  const drawable = x.map((_, i) => i).filter((i) => !quantity.log || line.low[i] > 0);
  const [along, low, high] = [x, line.low, line.high].map((values) => drawable.map((i) => values[i]));
  return {
    type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { width: 0 },
    fill: "toself", fillcolor: faint(toneOf(row)),
    x: [...along, ...reversed(along)],
    y: [...low, ...reversed(high)].map((value) => value * quantity.scale),
  };
};
const meanOf = (row, quantity, line, grid) => {
  const figure = (value) => (value * quantity.scale).toPrecision(3);
  const range = (i) => (line.low ? ` [${figure(line.low[i])}, ${figure(line.high[i])}]` : "");
  return {
    type: "scatter", mode: line.mean.length > FEW_POINTS ? "lines" : "lines+markers", showlegend: false,
    line: { color: toneOf(row), width: 2, dash: dashOf(row) }, marker: { size: 6 },
    x: grid[training.along], y: line.mean.map((value) => (quantity.log && !value ? null : value * quantity.scale)),
    text: line.mean.map((mean, i) => {
      const stage = row.curve.stages[grid.stages[i]];
      return `${plotText(row.label)}<br>${plotText(stage.name)}, step ${Math.round(grid.steps[i])}<br>` +
        `${figure(mean)}${range(i)}`;
    }),
    hovertemplate: "%{text}<extra></extra>",
  };
};
const tracesOf = (row, quantity) => {
  const line = row.curve.lines[quantity.id];
  if (!line) return [];
  const grid = row.curve.grids[line.grid];
  const band = line.low ? [bandOf(row, quantity, line, grid[training.along])] : [];
  return [...band, meanOf(row, quantity, line, grid)];
};

// Ends that lie closer together than one fiftieth of the axis are drawn as one.
const stageEnds = (rows) => {
  const far = Math.max(...rows.map((row) => row.curve.stages.at(-1)[training.along]));
  const ends = rows.flatMap(({ curve }) => curve.stages.slice(0, -1).map((stage, i) => (
    { x: stage[training.along], text: `stage ${curve.stages[i + 1].number}`, share: stage[training.along] / far }
  )));
  return ends.sort((a, b) => a.x - b.x).filter((end, i, all) => !i || end.x - all[i - 1].x > far / 50);
};
// Lines so close that their names would overlap share one name between them, or else stand in two rows.
const NAME_PIXELS = 54;
const stageNames = (ends, width) => {
  const names = [];
  for (const end of ends) {
    const last = names.at(-1);
    const near = last && (end.share - last.to) * width < NAME_PIXELS;
    if (near && last.text === end.text) Object.assign(last, { x: (last.from + end.x) / 2, to: end.share });
    else names.push({ ...end, from: end.x, to: end.share, row: near ? 1 - last.row : 0 });
  }
  return names;
};
// Ticks at 1, 2 and 5 over a few decades, at whole decades over many; Plotly's own where less than one is seen.
const logAxis = (traces) => {
  const values = traces.flatMap((trace) => trace.y).filter((value) => value > 0);
  const outermost = (choose) => values.reduce((left, right) => choose(left, right), values[0] ?? 1);
  const decades = Math.log10(outermost(Math.max) / outermost(Math.min));
  const ticks = decades < 0.7 ? { nticks: 6 } : { dtick: decades < 3 ? "D2" : Math.ceil(decades / 6) };
  return { type: "log", tickformat: "~g", ...ticks };
};
const drawPanel = ({ chart, quantity }) => {
  const rows = trainedRows.filter((row) => training.shown.has(row));
  const ends = rows.length ? stageEnds(rows) : [];
  const traces = rows.flatMap((row) => tracesOf(row, quantity));
  chart.setAttribute("aria-label", `${quantity.name} during training`);
  Plotly.react(chart, traces, layout({
    xaxis: axis(AXES.find((each) => each.id === training.along).name, { rangemode: "tozero" }),
    yaxis: axis(quantity.unit, quantity.log ? logAxis(traces) : {}),
    hovermode: "closest", margin: { l: 56, r: 16, t: 34, b: 48 },
    shapes: ends.map(({ x }) => ({
      type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1,
      line: { color: colour("--quiet"), width: 1.2, dash: "dot" },
    })),
    annotations: stageNames(ends, chart.clientWidth - 72).map(({ x, text, row }) => ({
      x, text, yref: "paper", y: 1, yanchor: "bottom", yshift: 13 * row, showarrow: false,
      font: { size: 12, color: colour("--quiet") },
    })),
  }), config);
};
const drawTraining = () => charts.changed(training.panels.map(({ chart }) => chart));

const LINES = ["solid", "dashed", "dotted", "double"];
const entryButton = (row) => {
  const style = `border-top: 4px ${LINES[DASHES.indexOf(dashOf(row))]} ${toneOf(row)}`;
  const button = make("button", { type: "button" }, make("i", { style, "aria-hidden": "true" }), row.label);
  const press = () => button.setAttribute("aria-pressed", training.shown.has(row));
  button.addEventListener("click", () => {
    if (!training.shown.delete(row)) training.shown.add(row);
    press();
    drawTraining();
  });
  press();
  return { button, press };
};
const startLegend = () => {
  const buttons = trainedRows.map(entryButton);
  byId("curves").append(...buttons.map(({ button }) => button));
  const offer = (name, rows) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      training.shown = new Set(rows);
      for (const { press } of buttons) press();
      drawTraining();
    });
    byId("offers").append(button);
  };
  const chosen = [...training.shown];
  if (chosen.length < trainedRows.length) offer("best", chosen);
  offer("all", trainedRows);
  offer("none", []);
};
const startPanel = (quantity, group) => {
  const chart = make("div", { class: "chart", role: "img", "aria-label": `${quantity.name} during training` });
  const panel = { chart, quantity };
  const select = make("select", { "aria-label": "Quantity" });
  for (const each of group) select.append(make("option", { value: each.id }, each.name));
  select.value = quantity.id;
  select.addEventListener("change", () => {
    panel.quantity = group.find((each) => each.id === select.value);
    charts.changed([chart]);
  });
  byId("panels").append(make("div", {}, make("h3", {}, group.length > 2 ? select : quantity.name), chart));
  training.panels.push(panel);
  charts.add(chart, () => drawPanel(panel));
};
// The last point of every line, for those who do not see the charts.
const endsTable = () => {
  const quantities = board.curveGroups.flat();
  const head = ["entry", ...quantities.map(({ name, scale }) => (scale === 100 ? `${name}, %` : name))];
  const lines = trainedRows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.label), ...quantities.map(({ id, scale }) => {
    const line = row.curve.lines[id];
    return make("td", {}, line ? String(Number((line.mean.at(-1) * scale).toPrecision(3))) : MISSING);
  })));
  byId("curve-ends").replaceChildren(
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...lines),
  );
};
const startTraining = () => {
  if (!trainedRows.length) return;
  endsTable();
  for (const each of AXES) byId("along").append(make("option", { value: each.id }, each.name));
  byId("along").addEventListener("change", () => {
    training.along = byId("along").value;
    drawTraining();
  });
  startLegend();
  for (const group of board.curveGroups) for (const quantity of group.slice(0, 2)) startPanel(quantity, group);
};
