"""Whether entries were trained with the same compute, in words: a difference may be no more than that."""

from collections.abc import Iterator, Sequence

from leaderboards.board.rows import Board, Row
from leaderboards.report.wording import enumerated, label, large
from leaderboards.results.schema import TrainingCost

UNEQUAL_COMPUTE = 0.05
UNMATCHED = 0.01
_MAX_KINDS = 6

_Trained = tuple[Row, TrainingCost]


def compute_sentences(board: Board) -> Iterator[str]:
    """For each model with several trained entries, whether their steps and forward tokens were the same."""
    models = list(dict.fromkeys(row.model for row in board.rows))
    for model in models:
        of_model = f" of {model}" if len(models) > 1 else ""
        trained = [(row, row.cost) for row in board.rows if row.model == model and row.cost]
        if len(trained) > 1:
            yield _matching(board, trained, of_model) + _reference_models(board, trained)


def times_reference(board: Board, row: Row) -> str:
    """Says when a row and its reference were not trained with the same compute, all of it counted."""
    reference = next((r for r in board.rows if r.is_reference and r.model == row.model), None)
    if reference is None or reference.cost is None or row.cost is None or not reference.cost.total_flops:
        return ""
    ratio = row.cost.total_flops / reference.cost.total_flops
    if abs(ratio - 1) <= UNEQUAL_COMPUTE:
        return ""
    return f", with {ratio:.2f} times its training compute"


def gained_points(row: Row, board: Board) -> float | None:
    """Points of macro accuracy above the untrained base of the same model; None where that is not known."""
    base = next((r for r in board.rows if r.role == "base" and r.model == row.model), None)
    if row.cost is None or row.macro is None or base is None or base.macro is None:
        return None
    mine, theirs = (each.metric("accuracy").estimate.mean for each in (row.macro, base.macro))
    return 100 * (mine - theirs)


def flops_per_point(row: Row, board: Board) -> float | None:
    """All FLOPs of one seed, its reference model's too, for each point gained; None where none was gained."""
    gained = gained_points(row, board)
    return row.cost.total_flops / gained if row.cost and gained and gained > 0 else None


def _matching(board: Board, trained: Sequence[_Trained], of_model: str) -> str:
    kinds = _kinds(trained)
    if len(kinds) == 1:
        return (
            f"Compute-matched: all {len(trained)} trained entries{of_model} took {_amount(kinds[0])} "
            f"(within {100 * UNMATCHED:.0f} %)."
        )
    shown = [
        f"{enumerated([label(row, board) for row, _ in kind])} took {_amount(kind)}"
        for kind in kinds[:_MAX_KINDS]
    ]
    rest = sum(len(kind) for kind in kinds[_MAX_KINDS:])
    if rest:
        shown.append(f"{rest} more took yet other amounts")
    return f"Not compute-matched: {'; '.join(shown)}."


def _kinds(trained: Sequence[_Trained]) -> list[list[_Trained]]:
    """Rows of like steps and tokens, the reference's kind first, then the others in the board's order."""
    kinds: list[list[_Trained]] = []
    for row, cost in sorted(trained, key=lambda pair: not pair[0].is_reference):
        kind = next((kind for kind in kinds if _alike(kind[0][1], cost)), None)
        if kind is None:
            kinds.append([(row, cost)])
        else:
            kind.append((row, cost))
    return kinds


def _alike(first: TrainingCost, other: TrainingCost) -> bool:
    pairs = ((first.steps, other.steps), (first.tokens_forward, other.tokens_forward))
    return all(abs(mine - theirs) <= UNMATCHED * mine for mine, theirs in pairs)


def _amount(kind: Sequence[_Trained]) -> str:
    cost = kind[0][1]
    return f"{cost.steps:.0f} optimiser steps and {large(cost.tokens_forward)} forward tokens"


def _reference_models(board: Board, trained: Sequence[_Trained]) -> str:
    prepared = [
        f"{label(row, board)} {large(cost.reference_tokens)}"
        for row, cost in trained
        if cost.reference_tokens
    ]
    if not prepared:
        return ""
    return f" On top of that, forward tokens to prepare a reference model: {', '.join(prepared)}."
