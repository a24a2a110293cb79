"""The embedded bases: they are there, read any text, and know nothing of a test problem."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sftkey_train.embedded import EMBEDDED, embedded_folder
from sftkey_train.model import load_base
from sftkey_train.stored import weights_digest
from sftkey_train.text import load_tokenizer
from studies.bases import CELLS, accuracies, pretraining_records, train_tokenizer
from tasks.world.generate import load

TOKENIZER = load_tokenizer(str(embedded_folder()))


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_base_is_what_its_curve_ends_with(name: str) -> None:
    """Its figures on validation problems are found again, but for rounding to bfloat16; none is 0 or 100."""
    folder = embedded_folder(name)
    last = json.loads((folder / "curve.json").read_text().splitlines()[-1])
    model = load_base(str(folder))
    assert all(torch.equal(weights, weights.bfloat16().float()) for weights in model.parameters())
    for kind, gap in CELLS:
        found = accuracies(model, TOKENIZER, kind, gap, size=100)
        assert found == pytest.approx(last[f"{kind} gap {gap}"], abs=12)
        assert 5 < found[0] < 98


def test_the_bases_differ_in_weights_alone() -> None:
    folders = [embedded_folder(name) for name in EMBEDDED]
    assert len({weights_digest(folder) for folder in folders}) == len(EMBEDDED)
    for file in ("config.json", "tokenizer.json"):
        assert len({(folder / file).read_bytes() for folder in folders}) == 1
    assert embedded_folder("embedded-9") is None


def test_the_tokenizer_is_made_again_by_its_script() -> None:
    assert train_tokenizer().backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()


@hypothesis_settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_the_tokenizer_reads_any_text(text: str) -> None:
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    assert TOKENIZER.decode(ids) == text


def test_a_number_is_one_token_wherever_it_stands() -> None:
    for text in (
        "<Answer>12</Answer>",
        "The answer is 12.",
        "7 + 5 = 12. 12 - 3 = 9.",
        "Tom has 12, wins 4.",
    ):
        tokens = [
            TOKENIZER.decode([token]) for token in TOKENIZER(text, add_special_tokens=False)["input_ids"]
        ]
        assert "12" in tokens
    assert TOKENIZER("a")["input_ids"][0] == TOKENIZER.bos_token_id != TOKENIZER.eos_token_id


def test_no_pretraining_problem_is_a_test_problem() -> None:
    seen = {record.question for seed in range(3) for record in pretraining_records(4000, seed)}
    assert len(seen) > 10_000
    for split in ("validation", "test"):
        for kind, gap in CELLS:
            assert not seen & {record.question for record in load(split, kind=kind, gap=gap)}


def test_pretraining_text_depends_on_the_seed_alone() -> None:
    texts = [[record.question for record in pretraining_records(50, seed)] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
