"""Checkpoints trained elsewhere, and their evaluation: whole models, adapters, models on a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import harness.models.locate as locate
from harness.config import Config
from harness.models.checkpoint import Checkpoint, Weights, whole_model, with_adapter
from harness.models.conversions import origin
from harness.models.vocabulary import usable_tokenizer
from harness.preflight import check_evaluation, check_places
from harness.progress import Reporter
from harness.run import evaluate_checkpoints
from leaderboards.results.schema import RESULTS_FILE
from sftkey_train.text import TextPath
from tasks.errors import InputError
from tasks.names import BASE, check_label, check_name, file_name
from tasks.reading import read_json


@dataclass(frozen=True)
class External:
    """What the user says of checkpoints trained elsewhere, beside the configuration."""

    adapters: tuple[str, ...] = ()  # folders or Hub ids of PEFT adapters on the configuration's model
    # Base of the model, where that is an adapter itself and its own record of it does not serve.
    base: str | None = None
    name: str | None = None  # as the leaderboard shows it
    licence: str | None = None  # of the weights; what their card says where None
    link: str | None = None  # to where they come from


def evaluate_external(config: Config, external: External, reporter: Reporter | None = None) -> None:
    """Looks at checkpoints trained elsewhere, then evaluates them.

    InputError where they cannot be evaluated, or results in the run's folder would be lost.
    """
    reporter = reporter or Reporter()
    if external.name is not None:
        check_name(external.name, "--name", reserved=(BASE,))
    check_evaluation(config, config.load_benchmarks())
    wanted = external_checkpoints(config, external, reporter.line)
    weights = (one.weights for one in wanted)
    check_places(
        config, [part for one in weights for part in (one.model_dir, one.adapter_dir, one.tokenizer_dir)]
    )
    check_out(config.out, wanted, config.benchmarks)
    for folder in {one.weights.tokenizer_dir: None for one in wanted if not one.served}:
        # Or its chat template is refused.
        path = TextPath.of(usable_tokenizer(folder), config.prompt_style, config.prompt_date)
        if path.dated:
            reporter.line(f"the chat template writes the date: {path.dated}, on every day (prompt_date)")
    evaluate_checkpoints(config, wanted, reporter)


def external_checkpoints(
    config: Config, external: External, say: Callable[[str], None] = lambda line: None
) -> list[Checkpoint]:
    """A model trained elsewhere, or adapters, as evaluation wants them.

    The configuration's `model` is a whole model, an adapter, or the base of `external.adapters`; `say` is
    told what is taken where a folder holds more than one thing. InputError where a checkpoint cannot be found
    or evaluated, or one name would stand for several.
    """
    if config.eval.engine == "openai":
        return [_served(config, external)]
    if external.name and len(external.adapters) > 1:
        raise InputError("--name can name one checkpoint; leave it out with several adapters")
    if not config.model:
        raise InputError("name the checkpoint: harness eval --model ID|PATH")
    adapters, base = _what_is_meant(config.model, external, say)
    if not adapters:
        path = locate.locate_model(config.model)
        shown = locate.model_name(config.model, path)
        return [_checkpoint(config, external, shown, whole_model(path), config.model)]
    names = [external.name] if external.name else _names(adapters)
    wanted = []
    for name, adapter in zip(names, adapters, strict=True):
        path = locate.locate_adapter(adapter)
        base_dir, shown = locate.locate_base(path, base)
        weights = with_adapter(whole_model(base_dir), path)
        wanted.append(_checkpoint(config, external, shown, weights, adapter, name))
    return wanted


def _what_is_meant(
    model: str, external: External, say: Callable[[str], None]
) -> tuple[tuple[str, ...], str | None]:
    """The adapters, and their base where it is given; a model that is an adapter itself is one of them."""
    path = locate.locate(model)
    if external.adapters:
        if external.base:
            raise InputError("--base and --model both name the adapter's base; give one of them")
        return external.adapters, model
    if locate.adapter_is_meant(path, external.base):
        return (model,), external.base
    if locate.is_adapter(path):
        say(
            f"{path} holds a whole model and an adapter: the whole model is taken (--adapter takes the other)"
        )
    return (), None


def _checkpoint(
    config: Config,
    external: External,
    model: str,
    weights: Weights,
    shown_path: str,
    name: str | None = None,
    served: bool = False,
) -> Checkpoint:
    adapter = weights.adapter_dir
    own = locate.adapter_config(adapter) if adapter else {}
    kind = "dora" if own.get("use_dora") else "rslora" if own.get("use_rslora") else "lora"
    done = origin(weights.model_dir) or ""
    method = " on a base ".join([kind] * bool(adapter) + [done] * done.startswith("de-quantised"))
    name = name or external.name or model.rsplit("/", 1)[-1]
    return Checkpoint(
        name=check_name(name, f"{shown_path} (--name gives it another)", reserved=(BASE,)),
        role="external",
        model=check_label(model, shown_path, "model"),
        seed=None,
        tags=config.tags,
        method=method or None,
        shown_path=shown_path,
        weights=weights,
        licence=external.licence or (None if served else locate.card_licence(adapter or weights.model_dir)),
        link=external.link,
        served=served,
    )


def _served(config: Config, external: External) -> Checkpoint:
    """A model on a server, which alone has seen its weights."""
    from harness.engines.api import server_url
    from harness.engines.openai_wire import served_digest

    if external.adapters or external.base:
        raise InputError("a server has its adapters under names of their own: name one with --model")
    if not config.model:
        raise InputError("name the model as the server does: harness eval --engine openai --model NAME")
    url = server_url(config.eval.server)
    weights = Weights(Path(config.model), None, served_digest(url, config.model))
    return _checkpoint(config, external, config.model, weights, f"{config.model} at {url}", served=True)


def _names(adapters: Sequence[str]) -> list[str]:
    """A name for each adapter: the last part of its folder or Hub id, with the one before where needed."""
    paths = [Path(name).resolve() if Path(name).is_dir() else Path(name) for name in adapters]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.parent.name}/{path.name}" for path in paths]
    if len(set(names)) < len(names):
        raise InputError("two adapters have the same name; evaluate them one by one with --name")
    return names


def check_out(out: Path, wanted: Sequence[Checkpoint], benchmarks: Sequence[str]) -> None:
    """Refuses to write over results that the same command would not make again.

    InputError where the folder holds results of other checkpoints, or of these on further benchmarks.
    """
    try:
        stored = read_json(out / RESULTS_FILE)["entries"]
        digests = {str(entry["name"]): str(entry["digest"]) for entry in stored}
        evaluated = {str(e["benchmark"]): None for entry in stored for e in entry["evaluations"]}
    except (InputError, KeyError, TypeError):
        return  # nothing that a report could be made of
    kept = {checkpoint.weights.digest for checkpoint in wanted}
    for name, digest in digests.items():
        if digest not in kept:
            raise InputError(
                f"{out}: holds results of another checkpoint ({name}, digest {digest[:12]}); use "
                "another --out"
            )
        if any(one.name != name and file_name(one.name) == file_name(name) for one in wanted):
            raise InputError(
                f"{out}: holds results of '{name}', whose folder is called alike; use another --out"
            )
    lost = [name for name in evaluated if name not in benchmarks]
    if lost:
        raise InputError(
            f"{out}: also holds results on {', '.join(lost)}, which would be lost; name all benchmarks "
            f"(--benchmarks {','.join([*evaluated, *(b for b in benchmarks if b not in evaluated)])}) or use "
            "another --out"
        )
