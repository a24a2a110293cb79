"""What lm-eval calls: the functions that `_tagged.yaml` names.

A document carries the whole record and the run's settings, so that scoring needs nothing but the document and
the output, in this process or in another.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.benchmarks import SOURCE_KEYS, answer_kind, parse_source
from tasks.errors import InputError
from tasks.records import Kind, Record, render_prompt
from tasks.scoring import DEFAULT_ALPHA, Item, metrics, score
from tasks.sources import DataSource, Split, iter_split
from tasks.tags.formats import TAG_FORMATS, TagFormat, get_tag_format
from tasks.tags.render import render_response

FEWSHOT_POOL = 64
FEWSHOT_SEARCHED = 2_000
"""Training records among which examples are sought."""
Doc = Mapping[str, Any]


def custom_dataset(
    *,
    tags: str = "thinking-answer",
    data_dir: str | None = None,
    alpha: float = DEFAULT_ALPHA,
    instruct: bool = False,
    split: Split = "test",
    config_source: str = "inline task",
    kind: Kind = "text",
    match: str = "exact",
    **settings: Any,
) -> "LazySplits":
    """Build the splits `test` and `fewshot` of a task; lm-eval gives `metadata` and `dataset_kwargs` as one.

    Args:
        tags: name of the tag format.
        data_dir: where to read the records instead of from the Hub.
        alpha: the weight of accuracy in the score.
        instruct: whether the prompt says in which format to answer.
        split: what lm-eval's `test` holds: `validation` while settings are being chosen.
        config_source: the YAML file, for errors; lm-eval adds it.
        kind: the kind of the answers.
        match: `contains` where a text may stand in a sentence.
        settings: the rest of `dataset_kwargs`, and whatever else lm-eval's metadata holds.

    Raises:
        InputError: unknown tag format, or a fault in the YAML.
    """
    tag_format = get_tag_format(tags)
    own = {key: settings[key] for key in SOURCE_KEYS if key in settings}
    source = parse_source({"kind": kind, **own}, config_source)
    kind = answer_kind({"kind": kind, "match": match}, config_source)
    extra = {"tags": tags, "alpha": float(alpha), "instruction": tag_format.instruction if instruct else ""}
    return LazySplits(source, kind, Path(data_dir) if data_dir else None, tag_format, extra, split)


_SPLITS = ("test", "fewshot")
_FIELDS = tuple(one.name for one in fields(Record))


@dataclass(eq=False, repr=False)
class LazySplits(Mapping[str, Any]):
    """`datasets.Dataset` by split name, each loaded on first use.

    lm-eval asks for the few-shot split even where no shots are wanted, so that one holds no more than the
    first records of the training split that can be examples; it is empty where there are none, and asking
    for shots is then an error rather than a leak of the test set.
    """

    source: DataSource
    kind: Kind
    data_dir: Path | None
    tag_format: TagFormat
    settings: Mapping[str, Any]
    evaluated: Split
    loaded: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, split: str) -> Any:
        if split not in _SPLITS:
            raise KeyError(split)
        if split not in self.loaded:
            import datasets

            shown = split == "fewshot"
            records = self.examples(self._asked()) if shown else self._records(self.evaluated)
            docs = [document(record, self.settings) for record in records]
            self.loaded[split] = datasets.Dataset.from_list(docs)
        return self.loaded[split]

    def __iter__(self) -> Iterator[str]:
        return iter(_SPLITS)

    def __len__(self) -> int:
        return len(_SPLITS)

    def _records(self, split: Split) -> Iterator[Record]:
        return iter_split(self.source, split, self.kind, self.data_dir)

    def _asked(self) -> Iterable[str]:
        return self["test"]["question"] if len(self["test"]) else ()

    def examples(self, questions: Iterable[str]) -> Iterable[Record]:
        """Training records that every tag format can write, so that all candidates are shown the same ones.

        None of the questions that are asked is among them, in whatever spelling of spaces and case.
        """
        if "train" not in self.source.splits:
            return []
        asked = set(map(_plain, questions))
        first = islice(self._records("train"), FEWSHOT_SEARCHED)
        unasked = (record for record in first if _plain(record.question) not in asked)
        return islice(filter(self._renders, unasked), FEWSHOT_POOL)

    def _renders(self, record: Record) -> bool:
        try:
            for tag_format in (self.tag_format, *TAG_FORMATS.values()):
                render_response(record, tag_format)
        except InputError:
            return False
        return True


def document(record: Record, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A record as lm-eval is handed it, with the run's tag format, weight of accuracy and instruction."""
    of_record = {name: getattr(record, name) for name in _FIELDS}  # `asdict` copies each value deeply
    return {**of_record, "choices": list(record.choices) if record.choices else None, **settings}


def doc_to_text(doc: Doc) -> str:
    """Return the prompt of a document: the same text as in training."""
    return render_prompt(_record(doc), instruction=doc["instruction"] or None)


def doc_to_target(doc: Doc) -> str:
    """Return the reference answer of a document."""
    return str(doc["answer"])


def fewshot_target(doc: Doc) -> str:
    """Return the whole reference response of a few-shot example, in the tag format of the run."""
    # Where the prompt opens the reasoning, a chat template does so only for the turn that is to be written.
    tag_format = get_tag_format(doc["tags"])
    opened = tag_format.think_open if tag_format.think_open_in_prompt else ""
    return opened + render_response(_record(doc), tag_format).text


def process_results(doc: Doc, results: Sequence[str | Sequence[str]]) -> dict[str, float]:
    """The metrics that `_tagged.yaml` lists, of the output of a document; the means where several were drawn.

    A plain run of lm-eval does not say which outputs were cut at the token limit, so that none counts as
    truncated; nor is it known what a chat template has opened.
    """
    outputs = [results[0]] if isinstance(results[0], str) else results[0]
    record, tag_format = _record(doc), get_tag_format(doc["tags"])
    return metrics(*(score(Item.of(record, output, tag_format, alpha=doc["alpha"])) for output in outputs))


def _plain(question: str) -> str:
    return " ".join(question.split()).casefold()


def _record(doc: Doc) -> Record:
    choices = tuple(doc["choices"]) if doc["choices"] else None
    return Record(doc["id"], doc["question"], choices, doc["rationale"], doc["answer"], doc["kind"])
