"""`harness score`: judge outputs that were made elsewhere, with the scorer that judges our own."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.answers import reference_answer
from tasks.errors import InputError
from tasks.jsonl import iter_objects
from tasks.records import KINDS, LETTERS, Kind
from tasks.scoring import DEFAULT_ALPHA, SampleScore, score_output
from tasks.suggest import did_you_mean
from tasks.tags import DEFECTS, TagFormat, get_tag_format

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """What a file of outputs scored.

    Attributes:
        n: number of outputs.
        accuracy: share judged right, the answer found as best one can.
        accuracy_strict: share judged right whose answer stood where it should.
        format_valid: share that keeps to the tag format.
        score: mean of alpha * accuracy + (1 - alpha) * format_valid.
        truncated: number of outputs cut at the token limit.
        defects: number of outputs with each format defect; every defect is named.
    """

    n: int
    accuracy: float
    accuracy_strict: float
    format_valid: float
    score: float
    truncated: int
    defects: dict[str, int]

    def to_json(self) -> str:
        """Return the report as one JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line of an outputs file."""

    id: str | int
    output: str
    gold: str
    choices: tuple[str, ...] | None
    truncated: bool


def score_file(
    path: Path,
    kind: Kind,
    tags: str = "none",
    samples_path: Path | None = None,
    alpha: float = DEFAULT_ALPHA,
) -> ScoreReport:
    """Score a JSONL file of outputs.

    Args:
        path: lines of ``{"id", "output", "gold"}``, where they exist with ``choices`` (a list) and
            ``finish_reason`` ("length" means truncated) or ``truncated``.
        kind: how answers are compared.
        tags: the tag format that the outputs should keep to.
        samples_path: where to write one verdict a line; None for nowhere.
        alpha: the weight of accuracy in the score, 0 to 1.

    Returns:
        The figures over all lines.

    Raises:
        InputError: unknown kind or tag format, alpha out of range, or a faulty or empty file.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind '{kind}'; {did_you_mean(kind, KINDS)}")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}; choose a number from 0 to 1")
    tag_format = get_tag_format(tags)
    lines = list(read_outputs(path, kind))
    if not lines:
        raise InputError(f"{path}: no outputs; expected one JSON object a line")
    scores = []
    with _opened(samples_path) as samples:
        for line in lines:
            scores.append(_score(line, kind, tag_format, alpha))
            if samples is not None:
                samples.write(_sample_json(line, scores[-1]) + "\n")
    return _report(scores)


def read_outputs(path: Path, kind: Kind) -> Iterator[OutputLine]:
    """Read and check an outputs file; arguments and errors as for `score_file`."""
    for where, fields in iter_objects(path):
        for name in ("id", "output", "gold"):
            if name not in fields:
                raise InputError(f"{where}: field '{name}' is missing; add it")
        output, gold, choices = fields["output"], fields["gold"], fields.get("choices")
        if not isinstance(output, str):
            raise InputError(f"{where}: field 'output' must be a text")
        if isinstance(gold, bool) or not isinstance(gold, str | int | float) or not str(gold).strip():
            raise InputError(f"{where}: field 'gold' must be a text or a number")
        if choices is not None and not _is_choices(choices):
            raise InputError(f"{where}: field 'choices' must be a list of 2 to {len(LETTERS)} texts, or null")
        truncated = fields.get("truncated", fields.get("finish_reason") == "length")
        if not isinstance(truncated, bool):
            raise InputError(f"{where}: field 'truncated' must be true or false")
        if not isinstance(fields["id"], str | int):
            raise InputError(f"{where}: field 'id' must be a text or a whole number")
        yield OutputLine(fields["id"], output, str(gold), tuple(choices) if choices else None, truncated)


def print_report(report: ScoreReport, console: "Console") -> None:
    """Print a report as a table.

    Args:
        report: the figures.
        console: where to.
    """
    from rich.table import Table

    table = Table(title=f"{report.n} outputs", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name in ("accuracy", "accuracy_strict", "format_valid", "score"):
        table.add_row(name, f"{getattr(report, name):.4f}")
    table.add_section()
    table.add_row("truncated", str(report.truncated))
    for defect, number in report.defects.items():
        table.add_row(f"defect: {defect}", str(number))
    console.print(table)


def _score(line: OutputLine, kind: Kind, tag_format: TagFormat, alpha: float) -> SampleScore:
    return score_output(
        line.output,
        gold=line.gold,
        kind=kind,
        choices=line.choices,
        tag_format=tag_format,
        truncated=line.truncated,
        alpha=alpha,
    )


def _report(scores: list[SampleScore]) -> ScoreReport:
    n = len(scores)
    found = Counter(defect for score in scores for defect in score.defects)
    return ScoreReport(
        n=n,
        accuracy=sum(score.accuracy for score in scores) / n,
        accuracy_strict=sum(score.accuracy_strict for score in scores) / n,
        format_valid=sum(score.format_valid for score in scores) / n,
        score=sum(score.score for score in scores) / n,
        truncated=sum(score.truncated for score in scores),
        defects={defect: found[defect] for defect in DEFECTS},
    )


def _sample_json(line: OutputLine, score: SampleScore) -> str:
    verdict = {
        "id": line.id,
        "correct": score.accuracy,
        "correct_strict": score.accuracy_strict,
        "format_valid": score.format_valid,
        "extracted": score.extracted,
        "gold": reference_answer(line.gold),
        "defects": score.defects,
        "truncated": score.truncated,
        "score": score.score,
    }
    return json.dumps(verdict)


def _is_choices(value: object) -> bool:
    return (
        isinstance(value, list)
        and 2 <= len(value) <= len(LETTERS)
        and all(isinstance(choice, str) for choice in value)
    )


def _opened(path: Path | None) -> Any:
    if path is None:
        return nullcontext()
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); check --samples") from error
