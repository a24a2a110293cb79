"""A run as data: what to train on, which stages to train, what to evaluate, before anything is done."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from harness.config import Config
from harness.engines.api import Sampling
from harness.engines.registry import choose_engine
from harness.files import STAGES
from harness.models.checkpoint import whole_model
from harness.models.locate import locate_model, model_name
from harness.preflight import check_kinds, check_questions, check_training
from leaderboards.board.claim_text import parse_claim
from sftkey_train import distributed
from sftkey_train.corpus import Corpus
from sftkey_train.embedded import embedded_folder
from sftkey_train.spans import corpus_key, encode
from sftkey_train.stages import StageGraph, build_graph
from sftkey_train.stored import weights_digest
from sftkey_train.text import TextPath, load_tokenizer
from sftkey_train.variants import ONLINE, Variant
from tasks.benchmarks import Benchmark
from tasks.errors import InputError, did_you_mean
from tasks.files import cache_dir
from tasks.records import Record, records_digest
from tasks.seals import content_digest, is_whole
from tasks.tags import get_tag_format

UNTAGGED = "none"
SAMPLES_VERSION = 2
"""Raised whenever what is stored of samples changes; since 2 their cost stands apart from training's."""


class TrainingRecords:
    """Records with a rationale from the training splits of benchmarks: a stream that can be read again.

    Benchmarks that share their training data (a set and its harder test) give it once. Of a record that has
    been read eight bytes are kept, and only where a later benchmark may share it: among ten million records
    the chance that one is taken for another is below one in a hundred thousand.

    Args:
        config: Says how many records of a benchmark to take, and where they are.
        benchmarks: In the order in which their records come; those without training data give none.

    Attributes:
        counts: Benchmark name -> its records in the stream, filled when a reading comes to the end.
    """

    def __init__(self, config: Config, benchmarks: Sequence[Benchmark]) -> None:
        self.counts: dict[str, int] = {}
        self._config = config
        self._benchmarks = benchmarks

    def __iter__(self) -> Iterator[Record]:
        """Yields the records.

        Raises:
            InputError: There are none, or a source is broken.
        """
        counts: Counter[str] = Counter()
        sources = [benchmark for benchmark in self._benchmarks if benchmark.train_split is not None]
        known = np.empty(0, np.uint64)
        for position, benchmark in enumerate(sources):
            hashes = array("Q")
            for record in islice(self._usable(benchmark), self._config.train_limit):
                if len(sources) > 1:
                    hashes.append(_hash(record))
                    at = np.searchsorted(known, np.uint64(hashes[-1]))
                    if at < len(known) and known[at] == hashes[-1]:
                        continue
                counts[benchmark.name] += 1
                yield record
            if position < len(sources) - 1:
                known = np.union1d(known, np.frombuffer(hashes, np.uint64))
        if not counts:
            names = ", ".join(benchmark.name for benchmark in self._benchmarks)
            raise InputError(
                f"no training data with rationales in {names}; add a benchmark that has some, such as gsm8k"
            )
        self.counts = dict(counts)

    def _usable(self, benchmark: Benchmark) -> Iterator[Record]:
        """Those that have a rationale, and are not lent to a validation split that this run looks at."""
        config = self._config
        validates = config.eval.split == "validation" or config.train.validate_every is not None
        for record in benchmark.iter_records("train", config.data_dir):
            if record.rationale and not (validates and benchmark.is_lent(record)):
                yield record


def _hash(record: Record) -> int:
    text = f"{record.id}\0{record.question}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


@dataclass(frozen=True)
class BaseModel:
    """The model that all variants start from.

    Attributes:
        name: As the leaderboard shows it.
        path: Its folder.
        digest: Digest of its weights.
    """

    name: str
    path: Path
    digest: str


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
        paths: Tag format name -> the text path of models trained on it.
        records: The training records.
        corpora: Tag format name -> these, encoded.
        graph: The stages.
        engine: Name of the engine.
        drawn_by: Digest of what decides samples; empty where no variant draws any.
    """

    config: Config
    base: BaseModel
    benchmarks: tuple[Benchmark, ...]
    variants: tuple[Variant, ...]
    seeds: Sequence[int]
    tags_of: Mapping[str, str]
    paths: Mapping[str, TextPath]
    records: TrainingRecords
    corpora: Mapping[str, Corpus]
    graph: StageGraph
    engine: str
    drawn_by: str

    @property
    def stage_dir(self) -> Path:
        """Where trained stages are kept, a folder each, named by key."""
        return self.config.store_dir / STAGES

    def is_trained(self, key: str) -> bool:
        """Whether a stage is in the store, as it was written."""
        return is_whole(self.stage_dir / key)


def make_plan(config: Config) -> Plan:
    """Resolves names, loads and encodes the training data, and lays out the stages.

    Of the processes of a launch the first goes ahead, which fills the caches of models and data.

    Raises:
        InputError: Anything that would make the run fail and can be known beforehand.
    """
    with distributed.first_goes_ahead():
        return _plan(config)


def _plan(config: Config) -> Plan:
    engine = choose_engine(config.eval.engine)
    benchmarks = config.load_benchmarks()
    variants = config.load_variants()
    tags_of = {variant.name: config.tags if variant.tagged else UNTAGGED for variant in variants}
    if not get_tag_format(config.tags).tagged:
        raise InputError(f"tags: {config.tags} has no tags, which tagged variants need (harness list tags)")
    if config.reference not in (None, "base", *tags_of):
        raise InputError(f"reference: {did_you_mean(str(config.reference), ['base', *tags_of])}")
    if len(tags_of) < len(variants):
        raise InputError("variants: two files give the same name")
    for claim in map(parse_claim, config.claims):
        claim.check(["base", *tags_of], [benchmark.name for benchmark in benchmarks])
    check_training(config, benchmarks)
    path = locate_model(config.model)
    # What comes with the package needs no look at whether it can be evaluated, which takes seconds.
    digest = weights_digest(path) if embedded_folder(config.model) else whole_model(path).digest
    base = BaseModel(model_name(config.model, path), path, digest)
    records = TrainingRecords(config, benchmarks)
    digest = records_digest(records)
    paths = {tags: text_path(base.path, config, tags) for tags in dict.fromkeys(tags_of.values())}
    corpora = {tags: _corpus(records, digest, tags, path, config) for tags, path in paths.items()}
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    own_settings = dict(zip(tags_of, map(config.settings_of, config.variants), strict=True))
    by = _drawn_by(config, benchmarks, digest, engine, variants)
    graph = build_graph(variants, seeds, config.train, base.digest, corpora, tags_of, own_settings, by)
    check_kinds(graph, distributed.count())
    plan = Plan(
        config, base, benchmarks, variants, seeds, tags_of, paths, records, corpora, graph, engine, by
    )
    if not all(map(plan.is_trained, graph.nodes)):  # a run that has all it needs shall not read it twice
        check_questions(config, benchmarks, base.path, next(iter(paths.values())))
    return plan


def with_seeds(plan: Plan, names: Collection[str], count: int) -> Plan:
    """The plan with so many seeds of these variants, and of the others as many as before."""
    config, variants = plan.config, [variant for variant in plan.variants if variant.name in names]
    own = dict(zip(plan.tags_of, map(config.settings_of, config.variants), strict=True))
    over = (plan.base.digest, plan.corpora, plan.tags_of, own, plan.drawn_by)
    more = build_graph(variants, range(config.first_seed, config.first_seed + count), config.train, *over)
    nodes, chains = {**more.nodes, **plan.graph.nodes}, {**more.chains, **plan.graph.chains}
    return replace(plan, graph=StageGraph(nodes, chains))


def sampling_of(config: Config, benchmarks: Sequence[Benchmark]) -> Sampling:
    """How training questions are answered: as in evaluation, with the widest limits of what is trained on."""
    sources = [benchmark for benchmark in benchmarks if benchmark.train_split is not None]
    most = max((one.max_new_tokens for one in sources), default=1)
    stop = dict.fromkeys(text for one in sources for text in one.stop)
    return Sampling(config.eval.max_new_tokens or most, stop=tuple(stop))


def _drawn_by(
    config: Config, benchmarks: Sequence[Benchmark], digest: str, engine: str, variants: Sequence[Variant]
) -> str:
    """Digest of what decides samples, beside checkpoint, questions, seed and the stage's own options."""
    if not any(stage.kind in ("sample", *ONLINE) for variant in variants for stage in variant.stages):
        return ""
    from tasks.scoring import scorer_digest

    how = asdict(sampling_of(config, benchmarks))
    return content_digest([SAMPLES_VERSION, digest, engine, how, config.alpha, scorer_digest()])


def _corpus(records: TrainingRecords, digest: str, tags: str, path: TextPath, config: Config) -> Corpus:
    """The encoded training data of a tag format, from the cache or encoded into it now."""
    tag_format, max_length = get_tag_format(tags), config.train.max_length
    directory = cache_dir() / "corpora" / corpus_key(digest, tag_format, path, max_length)
    return encode(records, tag_format, path, max_length, to=directory)


def text_path(model_dir: Path, config: Config, tags: str) -> TextPath:
    """The text path of a model under this configuration, with the tags as tokens where it wants them."""
    tokenizer = load_tokenizer(str(model_dir))
    if config.train.tag_tokens:
        # Not as special tokens: those vanish from decoded text, and the scorer reads the tags there.
        tokenizer.add_tokens(list(get_tag_format(tags).tag_strings))
    return TextPath.of(tokenizer, config.prompt_style, config.prompt_date)
