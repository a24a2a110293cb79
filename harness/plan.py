"""A run as data: which stages to train, which checkpoints to evaluate, before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from harness.config import EMBEDDED, Config
from harness.engines import choose_engine
from harness.intake import cache_dir, locate_model, model_name
from sftkey_train.checkpoint import weights_digest
from sftkey_train.spans import Corpus, encode
from sftkey_train.stages import StageGraph, build_graph
from sftkey_train.text import TextPath
from sftkey_train.variants import Variant, load_variant
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.records import Record
from tasks.suggest import did_you_mean
from tasks.tags import get_tag_format

UNTAGGED = "none"


@dataclass(frozen=True)
class BaseModel:
    """The model that all variants start from.

    Attributes:
        name: As the leaderboard shows it.
        path: Folder; of the embedded model it may not be built yet.
        digest: Digest of its weights, or of the recipe that builds them.
        built: Whether the weights are there.
    """

    name: str
    path: Path
    digest: str
    built: bool


@dataclass(frozen=True)
class Plan:
    """Everything a run will do.

    Attributes:
        config: The resolved configuration.
        base: The base model.
        benchmarks: To evaluate on.
        variants: To train.
        seeds: Of every variant.
        tags_of: Variant name -> tag format name.
        corpora: Tag format name -> encoded training data.
        train_records: Training records of each data set used.
        graph: The stages.
        engine: Name of the engine.
    """

    config: Config
    base: BaseModel
    benchmarks: tuple[Benchmark, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    tags_of: Mapping[str, str]
    corpora: Mapping[str, Corpus]
    train_records: Mapping[str, int]
    graph: StageGraph
    engine: str

    @property
    def stage_dir(self) -> Path:
        """Where trained stages are kept, a folder each, named by key."""
        return self.config.store_dir / "stages"

    def is_trained(self, key: str) -> bool:
        """Whether a stage is in the store."""
        return (self.stage_dir / key).is_dir()


def make_plan(config: Config) -> Plan:
    """Resolves names, loads and encodes the training data, and lays out the stages.

    Raises:
        InputError: Anything that would make the run fail and can be known beforehand.
    """
    engine = choose_engine(config.eval.engine)
    benchmarks = tuple(load_benchmark(name) for name in config.benchmarks)
    variants = tuple(load_variant(name) for name in config.variants)
    tags_of = {variant.name: config.tags if variant.tagged else UNTAGGED for variant in variants}
    if not get_tag_format(config.tags).tagged:
        raise InputError(f"tags: {config.tags} has no tags, which tagged variants need (harness list tags)")
    if config.reference not in (None, "base", *tags_of):
        raise InputError(f"reference: {did_you_mean(str(config.reference), ['base', *tags_of])}")
    if len(tags_of) < len(variants):
        raise InputError("variants: two files give the same name")
    base, tokenizer_dir = _locate_base(config)
    records, counts = training_records(config, benchmarks)
    path = text_path(tokenizer_dir, config)
    corpora = {
        tags: encode(records, get_tag_format(tags), path, config.train.max_length)
        for tags in dict.fromkeys(tags_of.values())
    }
    seeds = tuple(range(config.seeds))
    graph = build_graph(variants, seeds, config.train, base.digest, corpora, tags_of)
    return Plan(config, base, benchmarks, variants, seeds, tags_of, corpora, counts, graph, engine)


def text_path(model_dir: Path, config: Config) -> TextPath:
    """The text path of a model under this configuration."""
    from sftkey_train.model import load_tokenizer

    return TextPath.of(load_tokenizer(str(model_dir)), config.prompt_style)


def training_records(config: Config, benchmarks: Sequence[Benchmark]) -> tuple[list[Record], dict[str, int]]:
    """Records with a rationale from the training split of every benchmark that has one.

    Benchmarks that share their training data (a set and its harder test) give it once.

    Returns:
        The records, and how many come from which benchmark.

    Raises:
        InputError: No benchmark has training data.
    """
    records: dict[tuple[str, str], Record] = {}
    counts: dict[str, int] = {}
    for benchmark in benchmarks:
        if benchmark.train_split is None:
            continue
        usable = (record for record in benchmark.iter_records("train", config.data_dir) if record.rationale)
        found = {(record.id, record.question): record for record in islice(usable, config.train_limit)}
        new = {key: record for key, record in found.items() if key not in records}
        if new:
            records |= new
            counts[benchmark.name] = len(new)
    if not records:
        names = ", ".join(benchmark.name for benchmark in benchmarks)
        raise InputError(
            f"no training data with rationales in {names}; add a benchmark that has some, such as gsm8k"
        )
    return list(records.values()), counts


def _locate_base(config: Config) -> tuple[BaseModel, Path]:
    """The base model, and the folder of its tokenizer (which exists before the embedded weights do)."""
    if config.model == EMBEDDED:
        from sftkey_train.embedded import embedded_tokenizer, recipe_digest

        path = cache_dir() / "base" / recipe_digest()
        return BaseModel(EMBEDDED, path, recipe_digest(), path.is_dir()), embedded_tokenizer(cache_dir())
    path = locate_model(config.model)
    return BaseModel(model_name(config.model, path), path, weights_digest(path), True), path
