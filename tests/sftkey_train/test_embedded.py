"""The embedded base model: the same recipe gives the same model."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sftkey_train.embedded import (
    RECIPE,
    Recipe,
    build_embedded_base,
    embedded_tokenizer,
    pretraining_records,
    recipe_digest,
)
from sftkey_train.stored import HISTORY, read_manifest
from sftkey_train.text import load_tokenizer
from tasks.world.generate import load

MINI = Recipe(num_number=48, num_choice=48, num_markup=16, width=16, num_layers=1, context=256, batch_size=16)


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two caches in which the mini model was built apart."""
    one, other = (tmp_path_factory.mktemp("cache") for _ in range(2))
    for cache in (one, other):
        build_embedded_base(cache, lambda metrics: None, MINI)
    return one, other


@pytest.fixture(scope="session")
def tokenizer(caches: tuple[Path, Path]):
    return load_tokenizer(str(embedded_tokenizer(caches[0], MINI)))


def test_the_same_recipe_gives_the_same_model_anywhere(caches: tuple[Path, Path]) -> None:
    manifests = [read_manifest(cache / "base" / recipe_digest(MINI)) for cache in caches]
    assert manifests[0] == manifests[1]
    assert manifests[0]["recipe"]["num_number"] == 48
    assert (caches[0] / "base" / recipe_digest(MINI) / HISTORY).read_text().count("\n") == 1


def test_building_again_keeps_what_is_there(caches: tuple[Path, Path]) -> None:
    before = read_manifest(caches[0] / "base" / recipe_digest(MINI))
    folder = build_embedded_base(caches[0], lambda metrics: None, MINI)
    assert read_manifest(folder) == before
    assert {entry.name for entry in folder.parent.iterdir()} == {folder.name}


@pytest.mark.parametrize("field", [field.name for field in fields(Recipe)])
def test_whatever_the_recipe_says_names_the_model(field: str) -> None:
    assert recipe_digest(replace(RECIPE, **{field: getattr(RECIPE, field) * 2})) != recipe_digest()


@hypothesis_settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_the_tokenizer_reads_any_text(text: str) -> None:
    tokenizer = TOKENIZER[0]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


TOKENIZER: list = []


@pytest.fixture(autouse=True)
def shared_tokenizer(tokenizer) -> None:
    TOKENIZER[:] = [tokenizer]


def test_the_tokenizer_is_short_on_the_world_and_its_tags(tokenizer) -> None:
    assert len(tokenizer) <= MINI.vocabulary_size
    text = "<Thinking>7 + 5 = 12.</Thinking>\n<Answer>12</Answer>"
    assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) < len(text) / 2
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id != tokenizer.eos_token_id


def test_no_pretraining_problem_is_a_test_problem() -> None:
    """Told by the rationale, which spells the chain of totals out."""
    seen = {record.rationale for record in pretraining_records()}
    assert len(seen) > 1000
    for split in ("validation", "test"):
        for benchmark in ("number", "choice"):
            for hard in (False, True):
                held_out = load(split, benchmark=benchmark, hard=hard)
                assert not seen & {record.rationale for record in held_out}


def test_pretraining_mixes_both_benchmarks() -> None:
    sources = [record.id.rpartition("-")[0] for record in pretraining_records(MINI)]
    sizes = {"world-number-train": 48, "world-choice-train": 48, "world-markup": 16}
    assert {source: sources.count(source) for source in sources} == sizes
    assert set(sources[:30]) == sizes.keys()
