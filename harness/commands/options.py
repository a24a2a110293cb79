"""Options that several commands share, and how they become configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file; flags and --set override it.", show_default=False)
]
Model = Annotated[
    str | None,
    typer.Option(help="Model: 'embedded', a folder or a Hub id.", metavar="ID|PATH", show_default=False),
]
Benchmarks = Annotated[
    str | None,
    typer.Option(
        help="Benchmarks, with commas (harness list benchmarks).", metavar="a,b", show_default=False
    ),
]
Variants = Annotated[
    str | None,
    typer.Option(help="Variants, with commas (harness list variants).", metavar="a,b", show_default=False),
]
Seeds = Annotated[int | None, typer.Option(help="Number of seeds.", show_default=False)]
Method = Annotated[
    str | None,
    typer.Option(help="full, lora, dora, rslora or qlora.", metavar="full|lora|…", show_default=False),
]
Budget = Annotated[
    str | None,
    typer.Option(
        help="What is equal between variants: steps, tokens or epochs; with =N, how much.",
        metavar="steps|tokens|epochs[=N]",
        show_default=False,
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine", help="auto, vllm, hf or openai.", metavar="auto|vllm|hf|openai", show_default=False
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of benchmark data, in place of the Hub.", show_default=False)
]
Limit = Annotated[
    int | None,
    typer.Option(
        help="Use at most N records of each benchmark, in training and in evaluation.", show_default=False
    ),
]
Out = Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any configuration key, such as train.learning_rate=1e-5.", metavar="key=value"
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="A first look at the embedded world, in about a minute.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved plan and do nothing.")]
Base = Annotated[
    str | None,
    typer.Option(
        help="Base of a model that is an adapter, in place of the one it names.",
        metavar="ID|PATH",
        show_default=False,
    ),
]
Exact = Annotated[
    int | None,
    typer.Option(
        help="Make N outputs of each benchmark again with the hf engine, and say how many differ.",
        metavar="N",
        show_default=False,
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        help="A model that judges too, by name or address; verdicts stand beside the rule's.",
        metavar="MODEL|URL",
        show_default=False,
    ),
]
Tags = Annotated[str | None, typer.Option(help="Tag format (harness list tags).", show_default=False)]
Workers = Annotated[
    int | None, typer.Option(help="Processes at most; as many as cores.", min=1, show_default=False)
]


def flags(
    model: str | None,
    benchmarks: str | None,
    variants: str | None,
    seeds: int | None,
    method: str | None,
    engine: str | None,
    data_dir: Path | None,
    limit: int | None,
    out: Path | None,
) -> dict[str, Any]:
    """The options as dotted configuration keys; None where one was not given."""
    return {
        "model": model,
        "benchmarks": benchmarks,
        "variants": variants,
        "seeds": seeds,
        "train.method": method,
        "eval.engine": engine,
        "data_dir": data_dir,
        "limit": limit,
        "train_limit": limit,
        "out": out,
    }
