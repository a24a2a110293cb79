"""Options that several commands share, each with the configuration keys that it sets.

`configured` gives a command those it names, in that order, and hands it what was said of the configuration.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

if TYPE_CHECKING:
    from harness.config import Config


def _as_they_are(value: object, keys: tuple[str, ...]) -> dict[str, object]:
    return dict.fromkeys(keys, value)


def _budget(text: str, keys: tuple[str, ...]) -> dict[str, object]:
    """`tokens=2e6`: the unit, and the amount where it is said."""
    from tasks.errors import InputError

    unit, equals, amount = text.partition("=")
    try:
        return dict(zip(keys, (unit, float(amount) if equals else None), strict=True))
    except ValueError as error:
        raise InputError(f"--budget {text}: expected a number after =, such as {unit}=500") from error


def _judge(judge: str, keys: tuple[str, ...]) -> dict[str, object]:
    """A model's name, or the address where it is served."""
    return {keys["://" in judge]: judge}


class Sets:
    """The configuration keys that an option sets, and how its value gives theirs."""

    def __init__(
        self, *keys: str, read: Callable[[Any, tuple[str, ...]], dict[str, object]] = _as_they_are
    ) -> None:
        self._keys, self._read = keys, read

    def flags(self, value: object) -> dict[str, object]:
        """Key -> value, where the option was given."""
        is_given = value is not None and value is not False
        return self._read(value, self._keys) if is_given else {}


@dataclass(frozen=True)
class Given:
    """What a command line says of the configuration.

    Attributes:
        file: The YAML file.
        flags: Configuration key -> value, for the options that were given.
        settings: What `--set` said.
        quick: Whether the first look is wanted.
    """

    file: Path | None
    flags: Mapping[str, Any]
    settings: tuple[str, ...]
    quick: bool

    def config(self, defaults: Mapping[str, Any] | None = None) -> Config:
        """The configuration that it comes to; `defaults` stand below the file's values."""
        from harness.config import load_config

        return load_config(self.file, self.flags, self.settings, quick=self.quick, defaults=defaults)

    def but(self, **flags: Any) -> Given:
        """The same with other values of keys that have no dot."""
        return replace(self, flags={**self.flags, **flags})


def _option(said: str, *names: str, metavar: str | None = None) -> Any:
    """An option that is left out unless it is given."""
    return typer.Option(*names, help=said, metavar=metavar, show_default=False)


DataDir = Annotated[Path | None, _option("Folder of benchmark data, in place of the Hub."), Sets("data_dir")]
Tags = Annotated[str | None, _option("Tag format (harness list tags)."), Sets("tags")]
Base = Annotated[
    str | None,
    _option("Base of a model that is an adapter, in place of the one it names.", metavar="ID|PATH"),
]
Instruct = Annotated[
    bool,
    typer.Option("--instruct", help="Say in the prompt in which format to answer."),
    Sets("eval.instruct"),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes at most; as many as cores.", min=1, show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved plan and do nothing.")]

_OPTIONS: dict[str, Any] = {
    "config": Annotated[Path | None, _option("YAML file; flags and --set override it.", "--config")],
    "model": Annotated[
        str | None,
        _option("Model: 'embedded', a folder or a Hub id.", metavar="ID|PATH"),
        Sets("model"),
    ],
    "benchmarks": Annotated[
        str | None,
        _option("Benchmarks, with commas (harness list benchmarks).", metavar="a,b"),
        Sets("benchmarks"),
    ],
    "variants": Annotated[
        str | None,
        _option("Variants, with commas (harness list variants).", metavar="a,b"),
        Sets("variants"),
    ],
    "seeds": Annotated[int | None, _option("Number of seeds."), Sets("seeds")],
    "method": Annotated[
        str | None,
        _option("full, lora, dora, rslora or qlora.", metavar="full|lora|…"),
        Sets("train.method"),
    ],
    "budget": Annotated[
        str | None,
        _option(
            "What is equal between variants: steps, tokens or epochs; with =N, how much.",
            metavar="steps|tokens|epochs[=N]",
        ),
        Sets("train.budget", "train.amount", read=_budget),
    ],
    "engine": Annotated[
        str | None,
        _option("auto, vllm, hf or openai.", "--engine", metavar="auto|vllm|hf|openai"),
        Sets("eval.engine"),
    ],
    "data_dir": DataDir,
    "limit": Annotated[
        int | None,
        _option("Use at most N records of each benchmark, in training and in evaluation."),
        Sets("limit", "train_limit"),
    ],
    "exact": Annotated[
        int | None,
        _option(
            "Make N outputs of each benchmark again with the hf engine, and say how many differ.",
            metavar="N",
        ),
        Sets("eval.exact"),
    ],
    "judge": Annotated[
        str | None,
        _option(
            "A model that judges too, by name or address; verdicts stand beside the rule's.",
            metavar="MODEL|URL",
        ),
        Sets("eval.judge.model", "eval.judge.server.url", read=_judge),
    ],
    "tags": Tags,
    "instruct": Instruct,
    "out": Annotated[Path | None, _option("Folder of the run."), Sets("out")],
    "setting": Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any configuration key, such as train.learning_rate=1e-5.", metavar="key=value"
        ),
    ],
    "quick": Annotated[
        bool, typer.Option("--quick", help="A first look at the embedded world, in about a minute.")
    ],
}
"""By the parameter's name: those that a command gets from `configured`."""
TRAINING = ("config", "model", "benchmarks", "variants", "seeds", "method", "budget")
"""Options of every command that trains."""


def configured(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command shared options by name, and hands it a `Given` made of their values.

    Args:
        names: Of options, in the order of the help; the command's own parameters that are not named
            come last.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        _, *parameters = inspect.signature(command).parameters.values()
        own = {each.name: each.replace(annotation=hints[each.name]) for each in parameters}
        shared = [name for name in names if name not in own]

        def run(**options: Any) -> None:
            values = {name: options.pop(name) for name in shared}
            command(given_by(values), **options)

        ordered = [own[name] if name in own else _parameter(name) for name in names]
        last = [parameter for name, parameter in own.items() if name not in names]
        run.__signature__ = inspect.Signature([*ordered, *last])  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    is_flag = get_args(_OPTIONS[name])[0] is bool
    default = False if is_flag else None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=default, annotation=_OPTIONS[name])


def given_by(values: Mapping[str, Any]) -> Given:
    """What the values of options, by their names, say of the configuration."""
    flags: dict[str, object] = {}
    for name, value in values.items():
        for each in get_args(_OPTIONS[name]):
            flags |= each.flags(value) if isinstance(each, Sets) else {}
    setting = tuple(values.get("setting") or ())
    return Given(values.get("config"), flags, setting, bool(values.get("quick")))
