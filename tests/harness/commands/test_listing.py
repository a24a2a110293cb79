"""`harness list` fits a terminal of 80 columns, loses nothing of what it shows, and is instant."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from harness.commands.list import LISTS, listing
from sftkey_train.objectives import OBJECTIVES
from sftkey_train.variants import OPTIONS, variant_names
from tasks.errors import InputError


def printed(what: str, width: int) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(listing(what))
    return output.getvalue()


def flat(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("what", LISTS)
def test_a_list_fits_80_columns_and_cuts_nothing_off(what: str) -> None:
    narrow = printed(what, 80)
    assert max(map(len, narrow.splitlines())) <= 80
    lines = list(LISTS[what]())
    assert [row.split()[0] for row in narrow.splitlines()[1:] if row[0] != " "] == [
        line.name for line in lines
    ]
    assert sorted(flat(narrow)) == sorted(
        flat(f"{what[:-1]} description source" + "".join(map("".join, lines)))
    )


def test_objectives_show_formula_options_reference_and_source() -> None:
    text = flat(printed("objectives", 400))
    for objective in OBJECTIVES.values():
        for part in (objective.name, objective.summary, objective.formula, objective.source):
            assert flat(part) in text
    assert "share0.6,referencesft" in text
    assert "temperature1,clip16,referencebase" in text


def test_variants_show_what_each_stage_minimises_and_where() -> None:
    lines = {line.name: line.detail for line in LISTS["variants"]()}
    assert set(lines) == set(variant_names())
    assert lines["sftkey-tag"] == "cross-entropy on response, then cross-entropy on key"
    assert lines["rho-1"] == "rho-1 (share 0.6, reference sft) on response"
    assert lines["prompt-loss-weight"].startswith(
        "prompt-loss-weight (weight 0.1) on prompt 1, thinking_tag 1,"
    )


def test_every_objective_has_a_variant_that_tries_it() -> None:
    tried = {line.detail.split()[0] for line in LISTS["variants"]()}
    assert tried - OPTIONS.keys() == set(OBJECTIVES)


def test_an_unknown_list_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'objectives'"):
        listing("objective")


@pytest.mark.parametrize("what", ["benchmarks", "variants", "objectives", "rewards", "tags"])
def test_a_list_needs_no_torch(what: str) -> None:
    code = f"import harness.commands.list as x; x.listing({what!r}); import sys; exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
