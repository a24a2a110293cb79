"""`harness score`: judge outputs that were made elsewhere, with the scorer that judges our own."""

import json
import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer

import tasks.scoring as scoring
from harness.commands.options import Tags, Workers, option
from harness.outputs import refuse_overwriting
from harness.progress import console
from tasks.errors import InputError, did_you_mean
from tasks.files import whole_file
from tasks.records import KINDS, LETTERS, Kind, iter_objects, json_type, list_of
from tasks.scoring import DEFAULT_ALPHA, Item, Score, score_many
from tasks.sources import parse_columns
from tasks.tags import DEFECTS, TAG_FORMATS, TagFormat, get_tag_format, opens_reasoning, parse_output

if TYPE_CHECKING:
    from rich.console import Console

_OUTPUTS = (
    'JSONL, CSV or Parquet: {"id", "output", "gold"}, and "choices" where they exist. Several outputs of one '
    'question have its id and gold; "sample_index" may tell them apart.'
)
_KIND = "number, choice, latex, text, or contains (a text in a sentence)."
_SHARES = ("accuracy", "accuracy_strict", "format_valid", "score")
_COLUMNS = ("id", "output", "gold", "choices", "prompt", "finish_reason", "truncated", "sample_index")
_FIELDS = "Which columns hold what: id=question_id,output=response,gold=answer."
_MOST_TRIED = 300
_LABEL = "Field with another's verdict, true or false, to compare with."


def score_command(
    outputs: Annotated[Path, typer.Argument(help=_OUTPUTS)],
    kind: Annotated[str, typer.Option(help=_KIND, metavar="number|choice|latex|text|contains")],
    tags: Tags = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    samples: Annotated[Path | None, option("Write a verdict a line here.")] = None,
    alpha: Annotated[float, typer.Option(help="Weight of accuracy in score.", min=0.0, max=1.0)] = 0.7,
    workers: Workers = None,
    label: Annotated[str | None, option(_LABEL)] = None,
    fields: Annotated[str | None, option(_FIELDS, metavar="FIELD=COLUMN,…")] = None,
) -> None:
    """Score outputs made elsewhere."""
    if outputs.is_file():  # what is printed would be read: `harness score F --json >> F`
        refuse_overwriting(Path("/dev/stdout"), [outputs], "standard output")
    report = score_file(outputs, cast(Kind, kind), tags or "none", samples, alpha, workers, label, fields)
    if as_json:
        print(report.to_json())
    else:
        print_report(report, console())
    if tags is None and outputs.is_file() and (fitting := fitting_format(outputs, fields)):
        console(stderr=True).print(fitting, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """What a file of outputs scored."""

    n: int  # number of outputs
    accuracy: float  # share judged right, the answer found as best one can
    accuracy_strict: float  # share judged right whose answer stood where it should
    format_valid: float  # share that keeps to the tag format
    score: float  # mean of alpha * accuracy + (1 - alpha) * format_valid
    truncated: int  # number of outputs cut at the token limit
    undecided: int  # number of outputs that count as wrong because Math-Verify reached its limit
    defects: dict[str, int]  # number of outputs with each format defect; every defect is named
    # agreement of `accuracy` with the lines' own labels, where asked for.
    label: scoring.Agreement | None = None
    questions: int | None = None  # number of different ids, where there are fewer than outputs

    def to_json(self) -> str:
        """Return the report as one JSON object on one line."""
        figures = {name: figure for name, figure in asdict(self).items() if figure is not None}
        return json.dumps(figures, ensure_ascii=False)


class OutputLine(NamedTuple):
    """One line of an outputs file; `label` is somebody else's verdict on it, None where there is none."""

    id: str | int
    item: Item
    label: bool | None
    sample_index: int | None


def score_file(
    path: Path,
    kind: Kind,
    tags: str = "none",
    samples_path: Path | None = None,
    alpha: float = DEFAULT_ALPHA,
    workers: int | None = None,
    label: str | None = None,
    fields: str | None = None,
) -> ScoreReport:
    """Score a file of outputs: JSONL, CSV, TSV or Parquet.

    Its lines are ``{"id", "output", "gold"}``, where they exist with ``choices`` (a list), ``finish_reason``
    ("length" means truncated) or ``truncated``, and ``prompt``, the rendered one, whose end says whether the
    output begins inside the reasoning. `label` is a field that holds somebody else's verdict, true or false,
    to compare ours with; `tags` may be a YAML file; `fields` says which columns hold what: `gold=answer`.
    """
    if kind not in KINDS:
        raise InputError(f"--kind {kind}: {did_you_mean(kind, KINDS)}")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}; choose a number from 0 to 1")
    tag_format = get_tag_format(tags)
    refuse_overwriting(samples_path, [path, Path(tags)], "--samples")
    waiting, sums, labels = deque[OutputLine](), defaultdict[str, float](float), []
    # By id: what was asked, and where it stood first; an output may stand again with the same question.
    questions, drawn = dict[str | int, tuple[int, str]](), set[tuple[str | int, int]]()

    def items() -> Iterator[Item]:
        for where, line in _lines(path, fields):
            waiting.append(_checked_line(line, where, label, (kind, tag_format, alpha)))
            _check_question(waiting[-1], where, questions, drawn)
            yield waiting[-1].item

    with _written_whole(samples_path) as samples:
        for score in score_many(items(), workers):
            line = waiting.popleft()
            for name, value in {"n": 1, "undecided": score.undecided, **scoring.metrics(score)}.items():
                sums[name] += value
            if line.label is not None:
                labels.append((score.accuracy, line.label))
            if samples is not None:
                samples.write(_sample_json(line, score) + "\n")
        return _report(path, label, sums, labels, len(questions))


def _lines(path: Path, fields: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    columns = parse_columns(fields or "", _COLUMNS)
    for where, line in iter_objects(path):
        line |= {name: column.raw(line, where) for name, column in columns.items()}
        yield where, line | {"choices": list_of(line.get("choices"), where)}


def fitting_format(path: Path, fields: str | None = None) -> str | None:
    """A line that says which tag format the first outputs of a file keep to, where most do to one."""
    first = [line for _, line in islice(_lines(path, fields), _MOST_TRIED)]

    kept = Counter[str]()
    for (name, tag_format), line in product(TAG_FORMATS.items(), first):
        opened = opens_reasoning(str(line.get("prompt")), tag_format)
        parsed = parse_output(line["output"], tag_format, truncated=False, reasoning_open=opened)
        kept[name] += not parsed.defects
    [(name, number)] = kept.most_common(1)
    fits = number > max(kept["none"], len(first) // 2)
    return f"{number} of the first {len(first)} outputs keep to {name}; give --tags {name}" if fits else None


def _check_question(
    line: OutputLine,
    where: str,
    questions: dict[str | int, tuple[int, str]],
    drawn: set[tuple[str | int, int]],
) -> None:
    asked = hash((line.item.gold, line.item.choices))
    known, place = questions.setdefault(line.id, (asked, where.rpartition(":")[2]))
    if known != asked:
        raise InputError(
            f"{where}: id {line.id!r} stands at line {place} with another gold or other choices; give "
            "each question its own id"
        )
    if line.sample_index is not None:
        if (line.id, line.sample_index) in drawn:
            raise InputError(
                f"{where}: id {line.id!r} stands above with the same sample_index; leave one out"
            )
        drawn.add((line.id, line.sample_index))


def _report(
    path: Path, label: str | None, sums: Mapping[str, float], labels: list[tuple[bool, bool]], questions: int
) -> ScoreReport:
    if not sums:
        raise InputError(f"{path}: no outputs; expected one JSON object a line")
    if label and not labels:
        raise InputError(f"{path}: no line has a field '{label}'; check --label")
    n = int(sums["n"])
    return ScoreReport(
        n=n,
        **{name: sums[name] / n for name in _SHARES},
        truncated=int(sums["truncated"]),
        undecided=int(sums["undecided"]),
        defects={defect: int(sums[f"defect_{defect}"]) for defect in DEFECTS},
        label=scoring.agreement(labels) if labels else None,
        questions=questions if questions < n else None,
    )


def _checked_line(
    fields: dict[str, Any], where: str, label: str | None, how: tuple[Kind, TagFormat, float]
) -> OutputLine:
    missing = next((name for name in ("id", "output", "gold") if name not in fields), None)
    if missing:
        raise InputError(f"{where}: field '{missing}' is missing; add it")
    output, gold, choices = fields["output"], fields["gold"], fields.get("choices")
    finish, prompt, index = (fields.get(name) for name in ("finish_reason", "prompt", "sample_index"))
    truncated = _literal(fields.get("truncated", finish == "length"))
    verdict, index = _literal(fields.get(label)) if label else None, _literal(index)
    is_gold = _is_text(gold) or _is_whole(gold) or (isinstance(gold, float) and math.isfinite(gold))
    for name, right, what in (
        ("output", isinstance(output, str), "a text"),
        ("gold", is_gold, "a text or a number"),
        ("choices", choices is None or _is_choices(choices), f"a list of 2 to {len(LETTERS)} texts, or null"),
        ("truncated", isinstance(truncated, bool), "true or false"),
        ("finish_reason", isinstance(finish, str | None), "a text or null"),
        ("sample_index", index is None or _is_whole(index), "a whole number"),
        ("prompt", isinstance(prompt, str | list | None), "a text, a list of messages, or null"),
        ("id", _is_whole(fields["id"]) or _is_text(fields["id"]), "a text or a whole number"),
        (label, isinstance(verdict, bool | None), "true or false"),
    ):
        if not right:
            there = fields.get(str(name))
            but = "" if isinstance(there, str) else f", not {json_type(there)}"
            raise InputError(f"{where}: field '{name}' must be {what}{but}")
    kind, tag_format, alpha = how
    if fault := scoring.fault_of_gold(str(gold), kind, choices):
        raise InputError(f"{where}: field 'gold': {fault}")
    item = Item(
        output=output,
        gold=str(gold),
        kind=kind,
        choices=tuple(choices) if choices else None,
        tag_format=tag_format,
        truncated=truncated,
        alpha=alpha,
        # A prompt may also be a list of messages, which tell nothing of a rendered one.
        reasoning_open=opens_reasoning(prompt, tag_format) if isinstance(prompt, str) else None,
    )
    return OutputLine(fields["id"], item, verdict, index)


def print_report(report: ScoreReport, screen: "Console") -> None:
    """Print a report as a table."""
    from rich.table import Table

    table = Table(title=f"{report.n} outputs", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name in _SHARES:
        table.add_row(name, f"{getattr(report, name):.4f}")
    table.add_section()
    table.add_row("truncated", str(report.truncated))
    table.add_row("undecided", str(report.undecided))
    for defect, number in report.defects.items():
        table.add_row(f"defects: {defect}", str(number))
    if report.label:
        table.add_section()
        table.add_row("label: n", str(report.label.n))
        table.add_row("label: agreement", f"{report.label.agreement:.4f}")
        table.add_row("label: kappa", "–" if report.label.kappa is None else f"{report.label.kappa:.4f}")
    screen.print(table)
    if report.questions is not None:
        said = f"{report.n} outputs of {report.questions} questions: ids that stand several times"
        screen.print(said, highlight=False)


def _sample_json(line: OutputLine, score: Score) -> str:
    verdict = {
        "id": line.id,
        "accuracy": score.accuracy,
        "accuracy_strict": score.accuracy_strict,
        "format_valid": score.format_valid,
        "extracted": score.extracted,
        "gold": scoring.reference_answer(line.item.gold),
        "defects": score.defects,
        "truncated": score.truncated,
        "undecided": score.undecided,
        "score": score.score,
    }
    if line.sample_index is not None:
        verdict["sample_index"] = line.sample_index
    if line.label is not None:
        verdict |= {"label": line.label, "label_agrees": line.label == score.accuracy}
    return json.dumps(verdict)


def _literal(value: Any) -> Any:
    """Of a text, as in a cell of a CSV, the whole number or truth value that it writes."""
    if isinstance(value, str) and value.isdecimal():
        return int(value[:20])
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _is_choices(value: Any) -> bool:
    return isinstance(value, list) and 2 <= len(value) <= len(LETTERS) and all(map(_is_text, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@contextmanager
def _written_whole(path: Path | None) -> Iterator[IO[str] | None]:
    """A file that stands at its path when the context ends without an error; None for no path."""
    if path is None:
        yield None
        return
    try:
        direct = path.exists() and not path.is_file()  # such as /dev/stdout
        with (
            nullcontext(path) if direct else whole_file(path) as part,
            part.open("w", encoding="utf-8") as file,
        ):
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); check --samples") from error
