"""The configuration of a run: typed, strict, from a YAML file, then flags, then `--set key=value`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from harness.engines.api import EngineSettings, ServerSettings, api_key, server_url
from leaderboards.results.schema import BUDGETS, METRICS, RunResults, Tuning
from sftkey_train.embedded import EMBEDDED
from sftkey_train.settings import TrainSettings
from sftkey_train.text import PROMPT_DATE
from sftkey_train.variants import Variant, load_variant, option_names, with_options
from tasks.benchmarks import TASK_PREFIX, Benchmark, load_benchmark
from tasks.checks import Count, CountOr0, CountOrNone, checked
from tasks.errors import InputError, check_keys, did_you_mean
from tasks.reading import parse_yaml, read_text, read_yaml
from tasks.records import Kind
from tasks.secrets import holds_secret

CONFIG_FILE = "config.yaml"
"""In a run's folder, for people, and for `--config`: results hold the same text."""
Protocol = Literal["matched", "paper"]
PROTOCOLS = get_args(Protocol)
OWN_SETTINGS = ("learning_rate", "second_learning_rate", "stage2_share", "weight_decay", "warmup_epochs")
"""Settings that a variant may have for itself; the budget is not among them, so that variants compare."""
_NO_TRAINING = ("log_every", "validate_every", "validation_records", "gradient_norms", "report_to",
                "save_minutes", "workers")  # fmt: skip
"""Keys of `train` that change nothing of what is trained."""
FIRST_LOOK = 4
"""Seeds with which it is first asked whether a claim is decided: three of two variants lie on two sides of a
jump by chance in up to 4 % of cases, and look alike among themselves (`python -m studies sequential`)."""
_PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class JudgeSettings:
    """A model that judges answers, beside the rule that always does.

    Attributes:
        model: Its name on the server; the only model there where None. With neither this nor `server.url`
            there is no judge.
        server: Where it is served.
        max_new_tokens: Token budget of a verdict; a judge that reasons first needs it.
        prompt: Name of the prompt, a file in `harness/evaluation/judge_prompts`.
    """

    model: str | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
    max_new_tokens: Count = 2048
    prompt: str = "equivalence-1"

    @property
    def wanted(self) -> bool:
        """Whether there is a judge."""
        return bool(self.model or self.server.url)


@dataclass(frozen=True)
class EvalSettings:
    """How checkpoints are evaluated.

    Attributes:
        engine: `auto`, `vllm`, `hf` or `openai`.
        max_new_tokens: Token budget of a response; each benchmark's own where None.
        temperature: 0 for greedy decoding.
        top_p: Nucleus, where the temperature is not 0.
        num_samples: Responses drawn for each question; more than one needs a temperature.
        seed: Of the draws; sample i is drawn with seed + i.
        num_fewshot: Examples before each question, in the tag format of the checkpoint.
        exact: Outputs of each benchmark that the hf engine makes again, to be compared; 0 for none.
        split: `test`, or `validation` while settings are being chosen.
        key: Measure the answer by itself too, where benchmarks have reasoning (`harness.evaluation.key`).
        instruct: Say in the prompt in which format to answer; for models not trained on the format.
        engine_settings: What the engine is started with.
        server: Where the engine `openai` finds the model.
        judge: Who judges beside the rule, if anybody.
    """

    engine: str = "auto"
    max_new_tokens: CountOrNone = None
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    num_samples: Annotated[int, Field(gt=0, le=10_000)] = 1
    seed: CountOr0 = 0
    num_fewshot: CountOr0 = 0
    exact: CountOr0 = 0
    split: Literal["test", "validation"] = "test"
    key: bool = True
    instruct: bool = False
    engine_settings: EngineSettings = field(default_factory=EngineSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)


@dataclass(frozen=True)
class Config:
    """One run.

    Attributes:
        model: Base model: `embedded` (or `embedded-1`, of another seed), a folder, or a Hub id.
        protocol: Whose budget and values of training stand below one's own: `matched`, which gives every
            variant equal steps and tokens, or the `paper`'s (`harness/presets`).
        benchmarks: Names from `harness list benchmarks`.
        variants: Names from `harness list variants`, or paths of YAML files.
        seeds: Number of seeds.
        first_seed: The first of them; a sweep takes others than the run whose settings it chooses.
        tags: Tag format of the tagged variants.
        prompt_style: `auto`, `plain`, or `chat` for the tokenizer's chat template.
        prompt_date: What a chat template that writes today's date is given for it, on every day.
        data_dir: Folder of benchmark data in place of the Hub; a folder in it may be a benchmark of its own.
        fields: How its columns are named: `question=prompt,answer=label`.
        kind: Of the answers of a benchmark of one's own, where its data does not say so.
        limit: Most evaluation samples of a benchmark; all where None.
        train_limit: Most training records of a benchmark; all where None.
        out: Folder of the run.
        store: Folder of stages and generations, to be shared between runs; `out`/store where None.
        reference: Variant that differences are taken to; the board's own choice where None.
        rank_by: Metric that ranks.
        alpha: Weight of accuracy in `score`.
        claims: What is claimed before training, such as `sftkey-tag > sft-tag-x2 on accuracy by 1`; the board
            answers it first. Put on record in the run's folder before anything is trained.
        until_decided: Add seeds of the claim's variants until it is decided; of the default one without any.
        max_seeds: At most so many.
        budgets: Shares of the budget that are trained too, as runs of their own in `out`/budgets: accuracy
            against compute. 1 is the run itself.
        train: Shared by all variants.
        per_variant: Variant name -> its own values of `OWN_SETTINGS` and of its objectives' options, as
            `harness sweep` finds them.
        tuned: Variant name -> from how many settings these were chosen, as `harness sweep` counts them.
        eval: Shared by all checkpoints.
    """

    model: str = EMBEDDED[0]
    protocol: Protocol = "matched"
    benchmarks: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("sft", "sft-tag", "key-tag", "sftkey", "sftkey-tag", "sft-tag-x2")
    seeds: Annotated[int, Field(gt=0, le=1000)] = 3
    first_seed: CountOr0 = 0
    tags: str = "thinking-answer"
    prompt_style: Literal["auto", "plain", "chat"] = "auto"
    prompt_date: date = PROMPT_DATE
    data_dir: Path | None = None
    fields: str | None = None
    kind: Kind | None = None
    limit: CountOrNone = None
    train_limit: CountOrNone = None
    out: Path = Path("runs/default")
    store: Path | None = None
    reference: str | None = None
    rank_by: str = "accuracy"
    alpha: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.7
    claims: tuple[str, ...] = ()
    until_decided: bool = False
    max_seeds: Annotated[int, Field(gt=0, le=1000)] = 20
    budgets: tuple[Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)], ...] = ()
    train: TrainSettings = field(default_factory=TrainSettings)
    per_variant: dict[str, dict[str, float]] = field(default_factory=dict)
    tuned: dict[str, Tuning] = field(default_factory=dict)
    eval: EvalSettings = field(default_factory=EvalSettings)

    def settings_of(self, variant: str) -> TrainSettings:
        """A variant's training settings."""
        given = self.per_variant.get(variant, {})
        own: dict[str, Any] = {key: given[key] for key in OWN_SETTINGS if key in given}
        return dataclasses.replace(self.train, **own)

    def load_variants(self) -> tuple[Variant, ...]:
        """The variants that are named, each with its own options; InputError where one is not known."""
        return tuple(
            with_options(load_variant(name), self.per_variant.get(name, {})) for name in self.variants
        )

    def load_benchmarks(self) -> tuple[Benchmark, ...]:
        """The benchmarks that are named; InputError where one is not known."""
        where = self.data_dir, self.fields, self.kind
        return tuple(load_benchmark(name, None, *where) for name in self.benchmarks)

    def smaller(self) -> list[Config]:
        """The runs at smaller shares of the budget, smallest first; they share the store."""
        train, found = self.train, []
        for share in sorted({share for share in self.budgets if share < 1}):
            whole = train.budget != "epochs"
            amount = train.amount and (max(1, round(train.amount * share)) if whole else train.amount * share)
            own = dataclasses.replace(train, amount=amount, epochs=train.epochs * share)
            out = self.out / BUDGETS / f"{share:g}"
            found.append(
                dataclasses.replace(
                    self, budgets=(), claims=(), until_decided=False, train=own, out=out, store=self.store_dir
                )
            )
        return found

    @property
    def first_look(self) -> int:
        """Seeds with which it is first asked whether the claim is decided."""
        return max(self.seeds, FIRST_LOOK)

    @property
    def store_dir(self) -> Path:
        """Where stages and generations are kept."""
        return self.store or self.out / "store"


def load_config(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
    *,
    quick: bool = False,
    defaults: Mapping[str, Any] | None = None,
) -> Config:
    """Resolves a configuration: preset, then file, then flags, then `--set`.

    The preset is the embedded world's where the model is an embedded one, and the protocol's above it;
    `quick` takes that of a first look in about a minute. Flags have dotted keys, and are None where they
    were not given; settings are `key=value` texts, values YAML; a command's own defaults stand below the
    file's.
    """
    wanted = _known(read_yaml(path), str(path)) if path else {}
    layers = [_nest(key, value, f"--{key}") for key, value in (flags or {}).items() if value is not None]
    layers += map(_parse_setting, settings)
    for layer in layers:
        _check_keys(Config, layer, "--set")
        wanted = _merge(wanted, layer)
    if quick and wanted.get("model", EMBEDDED[0]) not in EMBEDDED:
        raise InputError("--quick is the embedded model's first look; use --limit with another model")
    return _resolved(wanted, str(path or "configuration"), quick, defaults)


def _resolved(
    wanted: Mapping[str, Any], where: str, quick: bool = False, defaults: Mapping[str, Any] | None = None
) -> Config:
    """The configuration that nested keys and values give, above the model's preset; checked."""
    preset = _PRESETS / f"{'quick' if quick else 'embedded'}.yaml"
    base = read_yaml(preset) if wanted.get("model", EMBEDDED[0]) in EMBEDDED else {}
    chosen = {key: base.pop(key, {}) for key in ("per_variant", "tuned")}
    if (protocol := wanted.get("protocol", Config.protocol)) in PROTOCOLS:  # another is refused below
        base = _merge(base, read_yaml(_PRESETS / f"{protocol}.yaml"))
    data = _merge({**base, **(defaults or {})}, wanted)
    for key in ("benchmarks", "variants", "budgets"):
        if isinstance(names := data.get(key), str):
            data[key] = [part.strip() for part in names.split(",") if part.strip()]
    if not wanted.keys() & {*chosen}:
        data |= _chosen(chosen, wanted, data.get("variants", Config.variants))
    if isinstance(claim := data.get("claims"), str):
        data["claims"] = [claim]
    for key in ("out", "store", "data_dir"):
        if data.get(key) == "":  # which would be the folder that one stands in
            raise InputError(f"{where}: {key} is empty; name a folder")
    config = checked(Config, data, where)
    _check_evaluation(config.eval)
    _check_training(config.train)
    _check_names(config)
    config = _check_claims(config)
    if holds_secret(dump_config(config)):
        raise InputError(
            f"{where}: holds a key or a password; leave it to the environment, since this is stored"
        )
    return config


def _chosen(chosen: Mapping[str, Any], wanted: Mapping[str, Any], variants: Any) -> dict[str, Any]:
    """The settings of their own that the preset has for these variants; none where they train otherwise."""
    other_data = wanted.keys() & {"protocol", "benchmarks", "train_limit"}
    other_training = wanted.get("train", {}).keys() - {*_NO_TRAINING}
    same = wanted.get("model", EMBEDDED[0]) == EMBEDDED[0] and not other_data and not other_training
    names = variants if same and isinstance(variants, list | tuple) else ()
    return {
        key: {name: own for name, own in by_variant.items() if name in names}
        for key, by_variant in chosen.items()
    }


def stored_text(run: RunResults) -> str:
    """The configuration that stored results were made with, as YAML; empty where nobody knows it.

    InputError for results of an earlier version, whose `config.yaml` is another's, or has gone.
    """
    path, wanted = Path(run.source) / CONFIG_FILE, run.provenance.get("config_sha256")
    text = run.config
    if text is None and (wanted or path.exists()):
        text = read_text(path, "cannot be read ({error}); restore it, or run the same command again")
        if wanted not in (None, hashlib.sha256(text.encode()).hexdigest()):
            raise InputError(f"{path}: not that of the results beside it; run the same command again")
    return text or ""


def stored_config(run: RunResults) -> Config:
    """The same, resolved."""
    where = str(Path(run.source) / CONFIG_FILE)
    data = _known(parse_yaml(stored_text(run), where), where)
    return _resolved({**data, "data_dir": None, "fields": None}, where)  # data may be elsewhere by now


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML; `load_config` reads it back to the same."""
    import yaml

    plain = json.loads(json.dumps(dataclasses.asdict(config), default=str))  # paths as texts, tuples as lists
    return yaml.safe_dump(plain, sort_keys=False)


def _known(data: Any, where: str) -> dict[str, Any]:
    """What a file holds, if it is a configuration's."""
    data = data or {}
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected keys and values")
    _check_keys(Config, data, where)
    return data


def _parse_setting(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text}: expected key=value, such as train.learning_rate=1e-5")
    parsed = parse_yaml(value, f"--set {text}", fault="the value is not YAML")
    return _nest(key.strip(), parsed, f"--set {key}")


def _nest(key: str, value: Any, where: str) -> dict[str, Any]:
    parts = key.split(".")
    if not all(parts):
        raise InputError(f"{where}: an empty part in the key")
    return reduce(lambda inner, part: {part: inner}, reversed(parts), value)


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**low, **high}
    for key in low.keys() & high.keys():
        if isinstance(low[key], Mapping) and isinstance(high[key], Mapping):
            merged[key] = _merge(low[key], high[key])
    return merged


def _check_keys(kind: type, data: Mapping[str, Any], where: str, prefix: str = "") -> None:
    made_by: dict[str, Any] = {item.name: item.default_factory for item in dataclasses.fields(kind)}
    check_keys(data, made_by, where, f"unknown key {prefix}{{key}}: {{meant}}")
    for key, value in data.items():
        if not dataclasses.is_dataclass(made_by[key]):
            continue
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: {prefix}{key} holds keys of its own, such as {prefix}{key}.…=…")
        _check_keys(made_by[key], value, where, f"{prefix}{key}.")


def _check_evaluation(own: EvalSettings) -> None:
    if own.num_samples > 1 and not own.temperature:
        raise InputError("eval.num_samples: greedy decoding draws one sample; set eval.temperature")
    if 0 < own.temperature < 0.01:
        raise InputError("eval.temperature: below 0.01 engines differ; 0 is greedy decoding")
    if own.exact and own.temperature:
        raise InputError("eval.exact compares greedy outputs; leave eval.temperature at 0")
    for server in (own.server, own.judge.server):
        for key in server.extra.keys() & {"model", "messages", "prompt", "n", "stream"}:
            raise InputError(f"server.extra: {key} is what the harness itself says; leave it out")
        # Before the configuration is written to the run's folder: no key may stand in it.
        api_key(server)
        if server.url:
            server_url(server)


def _check_training(train: TrainSettings) -> None:
    if train.amount is not None and train.budget != "epochs" and train.amount != max(1, round(train.amount)):
        raise InputError(f"train.amount: {train.amount:g} {train.budget}; write a whole number of them")
    size, micro = train.batch_size, train.micro_batch_size
    if micro and size % micro:
        raise InputError(f"train.batch_size ({size}) must be a multiple of train.micro_batch_size ({micro})")
    if train.tag_tokens and train.method != "full":
        raise InputError(
            f"train.tag_tokens needs full fine-tuning: with {train.method} the new tokens' embeddings "
            "would have to be saved beside the adapter, which vLLM does not load; leave the tags as text"
        )


def _check_claims(config: Config) -> Config:
    """The configuration with the claim that is to be decided, where it names none."""
    if not (config.claims or config.until_decided):
        return config
    from leaderboards.board.claim_text import DEFAULT, parse_claim

    claims = config.claims or (DEFAULT,)
    parsed = [parse_claim(claim) for claim in claims]
    if config.until_decided and len(parsed) > 1:
        raise InputError(
            f"--until-decided decides one claim, and there are {len(parsed)}; leave the others out"
        )
    if config.until_decided and config.max_seeds < config.first_look:
        raise InputError(
            f"max_seeds must be at least {config.first_look}, with which the first look is taken"
        )
    return dataclasses.replace(config, claims=claims)


def _check_names(config: Config) -> None:
    if config.rank_by not in METRICS:
        raise InputError(f"rank_by: {did_you_mean(config.rank_by, METRICS)}")
    for key in ("benchmarks", "variants"):
        names = getattr(config, key)
        if not names:
            raise InputError(f"no {key}: name at least one (harness list {key})")
        if len({name.removeprefix(TASK_PREFIX) for name in names}) < len(names):
            raise InputError(f"{key}: one stands there twice")
    _check_own_settings(config)
    if config.data_dir and not config.data_dir.is_dir():
        raise InputError(f"--data-dir {config.data_dir}: no such folder")


def _check_own_settings(config: Config) -> None:
    for key, of in (("per_variant", config.per_variant), ("tuned", config.tuned)):
        if lost := next((name for name in of if name not in config.variants), None):
            raise InputError(f"{key}: {did_you_mean(lost, config.variants)}")
    for name, own in config.per_variant.items():
        variant = load_variant(name)
        known = (*OWN_SETTINGS, *option_names(variant))
        check_keys(own, known, f"per_variant.{name}", "unknown setting {key!r}: {meant}")
        with_options(variant, own)
        checked(TrainSettings, dataclasses.asdict(config.settings_of(name)), f"per_variant.{name}", "train.")
