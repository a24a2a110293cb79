"""The plots of the study, as SVG files that depend on the results alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboards.board.curves import curve_of
from studies.evidence.design import CONTROL, KEY_VARIANTS, METHOD, Design, control_of
from studies.evidence.effects import POOLED, Evidence, cell_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOREST, CURVES, INTERACTION = "forest.svg", "curves.svg", "interaction.svg"
KEY_COLOUR, OTHER_COLOUR, CONTROL_COLOUR = "#b5301f", "#4a4a4a", "#1f5fa8"
_STYLE: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "study"}


def draw_all(design: Design, evidence: Evidence, folder: Path) -> None:
    """Draws every plot into the folder."""
    import matplotlib

    matplotlib.use("svg")
    folder.mkdir(parents=True, exist_ok=True)
    plots = {FOREST: draw_forest, CURVES: draw_curves, INTERACTION: draw_interaction}
    with matplotlib.rc_context(_STYLE):
        for name, draw in plots.items():
            # Without the date: the same results give the same file.
            draw(design, evidence).savefig(folder / name, metadata={"Date": None}, bbox_inches="tight")


def draw_forest(design: Design, evidence: Evidence) -> Figure:
    """Each variant's difference to the control with its interval: pooled, then cell by cell."""
    others = [name for name in design.variants if name != control_of(name)]
    order = sorted(others, key=lambda name: evidence.effect(name, POOLED).difference.mean)
    places = [(POOLED, "pooled"), *((cell.name, cell.label) for cell in design.cells)]
    figure, axes_P = _figure(1, len(places), (2.1 * len(places) + 1.4, 0.2 * len(order) + 1.0))
    for axes, (where, title) in zip(axes_P[0], places, strict=True):
        for row, name in enumerate(order):
            effect = evidence.effect(name, where)
            colour = KEY_COLOUR if name in KEY_VARIANTS else OTHER_COLOUR
            filled = effect.verdict != "undecided"
            low, high = 100 * effect.difference.low, 100 * effect.difference.high
            axes.plot([low, high], [row, row], color=colour, linewidth=1)
            axes.plot(
                [100 * effect.difference.mean],
                [row],
                "o",
                color=colour,
                ms=4,
                mfc=colour if filled else "white",
            )
        axes.axvline(0, color="#999999", linewidth=0.8, zorder=0)
        axes.set_title(title)
        axes.set_yticks(range(len(order)), order)
    marks = "filled: p < 0.05 after Holm; red: emphasises the answer"
    _label_all(figure, f"accuracy minus the control's, points (95 % interval; {marks})")
    return figure


def draw_curves(design: Design, evidence: Evidence) -> Figure:
    """Loss on the reasoning and on the answer while the control and the method train; mean of the seeds."""
    rows = (("loss_thinking", "reasoning loss"), ("loss_answer", "answer loss"))
    figure, axes_RC = _figure(2, len(design.cells), (2.6 * len(design.cells), 4.2))
    for axes_C, (quantity, words) in zip(axes_RC, rows, strict=True):
        for axes, cell in zip(axes_C, design.cells, strict=True):
            for name, colour in ((CONTROL, CONTROL_COLOUR), (METHOD, KEY_COLOUR)):
                _draw_line(axes, evidence, cell.name, name, quantity, colour)
            axes.set_yscale("log")
            axes.set_title(cell.label)
        axes_C[0].set_ylabel(words)
    axes_RC[0][0].legend(frameon=False)
    _label_all(figure, "optimiser steps (dotted: where the second stage begins)")
    return figure


def draw_interaction(design: Design, evidence: Evidence) -> Figure:
    """Accuracy of control and method in each cell, and their difference by difficulty and length."""
    figure, axes_P = _figure(1, 2, (7.2, 2.8), share=False)
    left, right = axes_P[0]
    for shift, name, colour in ((-0.08, CONTROL, CONTROL_COLOUR), (0.08, METHOD, KEY_COLOUR)):
        found = [evidence.accuracy(name, [cell.name]) for cell in design.cells]
        positions = [position + shift for position in range(len(found))]
        bars = [[100 * (e.mean - e.low) for e in found], [100 * (e.high - e.mean) for e in found]]
        means = [100 * e.mean for e in found]
        left.errorbar(positions, means, bars, fmt="o", ms=4, color=colour, label=name, linewidth=1)
    left.set_xticks(range(len(design.cells)), [cell.label for cell in design.cells])
    left.set_ylabel("accuracy, %")
    left.legend(frameon=False)
    for long, colour, marker in ((False, OTHER_COLOUR, "o"), (True, KEY_COLOUR, "s")):
        cells = [cell for cell in design.cells if cell.long == long]
        found_differences = [evidence.effect(METHOD, name).difference for name in cell_names(cells)]
        positions = [cell.gap + (0.06 if long else -0.06) for cell in cells]
        means = [100 * d.mean for d in found_differences]
        for position, difference in zip(positions, found_differences, strict=True):
            right.plot(
                [position] * 2, [100 * difference.low, 100 * difference.high], color=colour, linewidth=1
            )
        label = f"{'long' if long else 'short'} reasoning"
        right.plot(positions, means, marker=marker, color=colour, label=label, linewidth=1, ms=4)
    right.axhline(0, color="#999999", linewidth=0.8, zorder=0)
    right.set_xticks([0, 1], ["gap 0", "gap 1"])
    right.set_xlim(-0.4, 1.4)
    right.set_ylabel(f"{METHOD} minus {CONTROL}, points")
    right.legend(frameon=False)
    figure.tight_layout()
    return figure


def _draw_line(axes: Axes, evidence: Evidence, cell: str, name: str, quantity: str, colour: str) -> None:
    curve = curve_of(evidence.groups[cell][name].curves)
    line = next((line for line in curve.lines if line.quantity == quantity), None) if curve else None
    if curve is None or line is None:
        return
    axes.plot(line.grid.steps, line.mean, color=colour, label=name, linewidth=1)
    axes.fill_between(line.grid.steps, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
    axes.axvline(curve.stages[0].steps, color=colour, linewidth=0.8, linestyle=":")


def _figure(rows: int, columns: int, size: tuple[float, float], share: bool = True) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    return figure, figure.subplots(rows, columns, sharey="row" if share else False, squeeze=False)


def _label_all(figure: Figure, text: str) -> None:
    figure.supxlabel(text, fontsize=8)
    figure.tight_layout()
