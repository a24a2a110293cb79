"""Which results may stand on one board: the same questions, prompts, generation settings and scorer.

Where they differ, results are refused, or, where the user insists, shown with a mark.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from leaderboards.results.schema import Entry, Evaluation, describe
from tasks.errors import InputError, did_you_mean

Aspect = Literal["data", "prompt", "generation", "scorer"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
# They differ by design: a tag format brings its own stop strings, a seed its own sampling.
SETTINGS_BY_DESIGN = ("stop", "seed")
_DIGEST_CHARS = 12
_WORDS = {
    "data": "asked other questions",
    "prompt": "asked in another prompt",
    "generation": "other generation settings",
    "scorer": "judged by another version of the scorer",
}
_MEND = {
    "data": "evaluate all on the same data and --limit",
    "prompt": "evaluate all with the same prompt style and instructions",
    "generation": "evaluate all with the same settings",
    "scorer": "harness rescore judges a stored run again by today's scorer",
}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation, whose it is, and the run that holds it."""

    entry: Entry
    evaluation: Evaluation
    source: str

    @property
    def name(self) -> tuple[str, str]:
        """Of the row it belongs to: model and entry."""
        return self.entry.model, self.entry.name


@dataclass(frozen=True, slots=True)
class Unlike:
    """An evaluation that differs in one aspect from most others of its benchmark: its value, and theirs.

    `norm` is the first of the others.
    """

    benchmark: str
    aspect: Aspect
    value: str
    usual: str
    of: Evaluated
    norm: Evaluated

    def mark(self) -> str:
        """In words, as a row is marked: `other generation settings (top_p 0.9; the others: top_p 1)`."""
        return f"{_WORDS[self.aspect]} ({self.value}; the others: {self.usual})"

    def refusal(self) -> str:
        """In words, as the user is told why there is no board."""
        names = [describe(one.entry.name, one.entry.seed) for one in (self.of, self.norm)]
        return (
            f"{self.benchmark}: {names[0]} in {self.of.source} and {names[1]} in {self.norm.source} are not "
            f"comparable: {_WORDS[self.aspect]} ({self.value} / {self.usual}); {_MEND[self.aspect]}, or show "
            f"them marked with --allow-different {self.aspect}"
        )


def checked_aspects(names: Collection[str]) -> frozenset[Aspect]:
    """The aspects that a user allows to differ.

    Raises:
        InputError: One is not known.
    """
    for name in names:
        if name not in ASPECTS:
            raise InputError(f"--allow-different: unknown '{name}'; {did_you_mean(name, list(ASPECTS))}")
    return frozenset(aspect for aspect in ASPECTS if aspect in names)


def find_unlike(evaluated: Sequence[Evaluated]) -> Iterator[Unlike]:
    """Every evaluation that differs from most others of its benchmark; what is not known does not differ."""
    for benchmark in dict.fromkeys(one.evaluation.benchmark for one in evaluated):
        own = [one for one in evaluated if one.evaluation.benchmark == benchmark]
        for aspect in ASPECTS:
            yield from _unlike_in(benchmark, aspect, own)


def _unlike_in(benchmark: str, aspect: Aspect, own: Sequence[Evaluated]) -> Iterator[Unlike]:
    groups: dict[str, list[tuple[Evaluated, dict[str, str]]]] = {}
    for one in own:
        # Examples and instructions in a prompt are in the entry's own tags: only like tags compare there.
        asked = one.evaluation.generation
        own_words = aspect == "prompt" and (asked.get("num_fewshot") or asked.get("instruct"))
        known = groups.setdefault(one.entry.tags if own_words else "", [])
        known += [(one, values)] if (values := _values(aspect, one.evaluation)) else []
    for known in filter(None, groups.values()):
        counts = Counter(tuple(sorted(values.items())) for _, values in known)
        usual = dict(counts.most_common(1)[0][0])
        norm = next(one for one, values in known if values == usual)
        for one, values in known:
            if values != usual:
                keys = [key for key in {**usual, **values} if usual.get(key) != values.get(key)]
                shown = [
                    ", ".join(f"{key} {of[key]}" if key in of else f"no {key}" for key in keys)
                    for of in (values, usual)
                ]
                yield Unlike(benchmark, aspect, shown[0], shown[1], one, norm)


def _values(aspect: Aspect, evaluation: Evaluation) -> dict[str, str]:
    """What is compared, as it is shown; nothing where that is not known."""
    if aspect != "generation":
        digests = {
            "data": evaluation.data_digest[:_DIGEST_CHARS],
            "prompt": evaluation.prompts,
            "scorer": evaluation.scorer[:_DIGEST_CHARS],
        }
        return {"digest": digests[aspect]} if aspect == "data" or digests[aspect] else {}
    settings = {k: v for k, v in evaluation.generation.items() if not k.startswith(SETTINGS_BY_DESIGN)}
    return {key: str(value) for key, value in settings.items()} | {
        "outputs for each question": str(evaluation.num_samples)
    }
