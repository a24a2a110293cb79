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


def _sets(*keys: str) -> Callable[[object], dict[str, object]]:
    """That an option's value is that of these configuration keys."""
    return lambda value: dict.fromkeys(keys, value)


def _budget(text: str) -> dict[str, object]:
    """`tokens=2e6`: the unit, and the amount where it is said."""
    from tasks.errors import InputError

    unit, equals, amount = text.partition("=")
    try:
        return {"train.budget": unit, "train.amount": float(amount) if equals else None}
    except ValueError as error:
        raise InputError(f"--budget {text}: expected a number after =, such as {unit}=500") from error


def _judge(judge: str) -> dict[str, object]:
    """A model's name, or the address where it is served."""
    return {"eval.judge.server.url" if "://" in judge else "eval.judge.model": judge}


@dataclass(frozen=True)
class Given:
    """What a command line says of the configuration."""

    file: Path | None  # the YAML file
    flags: Mapping[str, Any]  # configuration key -> value, for the options that were given
    settings: tuple[str, ...]  # what `--set` said
    quick: bool  # whether the first look is wanted

    def config(self, defaults: Mapping[str, Any] | None = None) -> Config:
        """The configuration that it comes to; `defaults` stand below the file's values."""
        from harness.config import load_config

        return load_config(self.file, self.flags, self.settings, quick=self.quick, defaults=defaults)

    def but(self, **flags: Any) -> Given:
        """The same with other values of keys that have no dot."""
        return replace(self, flags={**self.flags, **flags})


def option(said: str, *, metavar: str | None = None) -> Any:
    """An option that is left out unless it is given."""
    return typer.Option(help=said, metavar=metavar, show_default=False)


Text = str | None
Number = int | None
Folder = Path | None

_FIELDS = option("Which columns hold what: question=prompt,answer=label.", metavar="FIELD=COLUMN,…")
Fields = Annotated[Text, _FIELDS, _sets("fields")]
_KIND = option("Of the answers of a benchmark that is a folder of --data-dir.", metavar="number|…")
Kinds = Annotated[Text, _KIND, _sets("kind")]
DataDir = Annotated[Folder, option("Folder of benchmark data, in place of the Hub."), _sets("data_dir")]
Tags = Annotated[Text, option("Tag format (harness list tags)."), _sets("tags")]
_BASE = option("Base of a model that is an adapter, in place of the one it names.", metavar="ID|PATH")
Base = Annotated[Text, _BASE]
_INSTRUCT = typer.Option("--instruct", help="Say in the prompt in which format to answer.")
Instruct = Annotated[bool, _INSTRUCT, _sets("eval.instruct")]
_WORKERS = typer.Option(help="Processes at most; as many as cores.", min=1, max=1024, show_default=False)
Workers = Annotated[Number, _WORKERS]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved plan and do nothing.")]

_MODEL = option("Model: 'embedded', a folder or a Hub id.", metavar="ID|PATH")
_BENCHMARKS = option("Benchmarks, with commas (harness list benchmarks).", metavar="a,b")
_VARIANTS = option("Variants, with commas (harness list variants).", metavar="a,b")
_PROTOCOL = option("matched (equal steps and tokens) or paper.", metavar="matched|paper")
_METHOD = option("full, lora, dora, rslora or qlora.", metavar="full|lora|…")
_BUDGET = option(
    "What is equal between variants: steps, tokens or epochs; with =N, how much.",
    metavar="steps|tokens|epochs[=N]",
)
_BUDGETS = option(
    "Shares of the budget that are trained too, such as 0.25,0.5: accuracy against compute.", metavar="a,b"
)
_CLAIM = option(
    "What is claimed before training, and answered first; may be repeated. "
    "A > B [by X points] [on METRIC] [over BENCHMARKS] …",
    metavar='"A > B by 1"',
)
_UNTIL = typer.Option("--until-decided", help="Add seeds of the claim's two variants until it is decided.")
_ENGINE = option("auto, vllm, hf or openai.", metavar="auto|vllm|hf|openai")
_LIMIT = option("Use at most N records of each benchmark, in training and in evaluation.")
_EXACT = option(
    "Make N outputs of each benchmark again with the hf engine, and say how many differ.", metavar="N"
)
_JUDGE = option(
    "A model that judges too, by name or address; verdicts stand beside the rule's.", metavar="MODEL|URL"
)
_SETTING = typer.Option(
    "--set", help="Any configuration key, such as train.learning_rate=1e-5.", metavar="key=value"
)
_QUICK = typer.Option("--quick", help="A first look at the embedded world, in about a minute.")

_OPTIONS: dict[str, Any] = {
    "config": Annotated[Folder, option("YAML file; flags and --set override it.")],
    "model": Annotated[Text, _MODEL, _sets("model")],
    "benchmarks": Annotated[Text, _BENCHMARKS, _sets("benchmarks")],
    "variants": Annotated[Text, _VARIANTS, _sets("variants")],
    "seeds": Annotated[Number, option("Number of seeds."), _sets("seeds")],
    "claim": Annotated[list[str] | None, _CLAIM, lambda claims: {"claims": claims} if claims else {}],
    "until_decided": Annotated[bool, _UNTIL, _sets("until_decided")],
    "max_seeds": Annotated[Number, option("With --until-decided, at most so many; 20."), _sets("max_seeds")],
    "protocol": Annotated[Text, _PROTOCOL, _sets("protocol")],
    "method": Annotated[Text, _METHOD, _sets("train.method")],
    "budget": Annotated[Text, _BUDGET, _budget],
    "budgets": Annotated[Text, _BUDGETS, _sets("budgets")],
    "engine": Annotated[Text, _ENGINE, _sets("eval.engine")],
    "data_dir": DataDir,
    "fields": Fields,
    "kind": Kinds,
    "limit": Annotated[Number, _LIMIT, _sets("limit", "train_limit")],
    "exact": Annotated[Number, _EXACT, _sets("eval.exact")],
    "judge": Annotated[Text, _JUDGE, _judge],
    "tags": Tags,
    "instruct": Instruct,
    "out": Annotated[Folder, option("Folder of the run."), _sets("out")],
    "setting": Annotated[list[str] | None, _SETTING],
    "quick": Annotated[bool, _QUICK],
}
"""By the parameter's name: those that a command gets from `configured`."""
DATA = ("data_dir", "fields", "kind")
TRAINING = ("config", "model", "benchmarks", "variants", "seeds", "protocol", "method", "budget")
"""Options of every command that trains."""


def configured(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command shared options by name, and hands it a `Given` made of their values.

    The help has them in this order; the command's own parameters that are not named come last.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        _, *parameters = inspect.signature(command).parameters.values()
        own = {each.name: each.replace(annotation=hints[each.name]) for each in parameters}
        shared = {name: _parameter(name) for name in names if name not in own}

        def run(**options: Any) -> None:
            values = {name: options.pop(name) for name in shared}
            command(given_by(values), **options)

        ordered = [(shared | own)[name] for name in dict.fromkeys((*names, *own))]
        run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    default = False if get_args(_OPTIONS[name])[0] is bool else None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=default, annotation=_OPTIONS[name])


def given_by(values: Mapping[str, Any]) -> Given:
    """What the values of options, by their names, say of the configuration."""
    flags: dict[str, object] = {}
    for name, value in values.items():
        if value is not None and value is not False:
            for said_of in get_args(_OPTIONS[name])[2:]:
                flags |= said_of(value)
    setting = tuple(values.get("setting") or ())
    return Given(values.get("config"), flags, setting, bool(values.get("quick")))
