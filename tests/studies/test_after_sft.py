"""Study 3: its budgets are those that were declared, and its documents name the file that was run."""

import hashlib
from pathlib import Path

import pytest
import yaml

from sftkey_train.variants import load_variant
from studies.after_sft import DECLARED, parts_of

DOCS = Path(__file__).parents[2] / "docs"
NAMES = [path.stem for path in DECLARED.glob("*.yaml")]


@pytest.mark.parametrize("name", NAMES)
def test_each_stage_has_the_steps_that_were_declared(name: str, tmp_path: Path) -> None:
    told = yaml.safe_load((DECLARED / f"{name}.yaml").read_text())
    parts = {part.name: part for part in parts_of(told)}
    assert set(parts) == {"before", "after", *(["rewards"] if "rewards" in told else [])}
    for part in parts.values():
        for variant, stages in part.variants.items():
            assert sum(stage["share"] for stage in stages) == pytest.approx(1)
            if part.name == "after" and len(told["before"][variant.rpartition("+")[0]]) == 1:
                assert stages[0]["share"] * part.steps == pytest.approx(told["sft_steps"])
            content = {"name": "mine", "description": "d", "source": "s", "tagged": told.get("tagged", True)}
            path = tmp_path / "mine.yaml"
            path.write_text(yaml.safe_dump({**content, "stages": [*stages]}))
            assert len(load_variant(str(path)).stages) == len(stages)


@pytest.mark.parametrize("name", NAMES)
def test_the_document_is_of_this_declaration(name: str) -> None:
    document = DOCS / f"study_{name}.md"
    assert hashlib.sha256((DECLARED / f"{name}.yaml").read_bytes()).hexdigest() in document.read_text()
