"""What a name may be, and that no name is a file elsewhere, or another name's file."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.names import AVERAGE, BASE, MOST_BYTES, check_label, check_name, file_name
from tasks.shown import neutral

GOOD = (
    *("sft", "sftkey-tag", "sft-tag+key-tag", "world_number_gap1", "Their LoRA", "x's own", "_", "4"),
    *("Qwen/Qwen2.5-0.5B-Instruct@main", "meta-llama/Llama-3.1-8B:free", "ft:gpt-4o:org::abc", "lr=1e-5"),
    *(
        "模型",
        "модель-2",
        "हिन्दी",
        "naïve",
        "Ωμέγα",
        "نموذج",
        "v²",
        "model (2)",
        "sft, tagged &",
        "C++",
        "a..b",
    ),
    "x" * MOST_BYTES,
)
BAD = (
    *("", " ", None, True, 7, 1.5, [], {}, "..", ".", "../../x", "/etc/passwd", "~root", "-rf", ".hidden"),
    *("a/../b", "a/./b", "a//b", "a/", "a/.b", "a\\b", "a ", " a", "a  b", "a.", "a./b", "=1+1", "+1", "@x"),
    *("a\nb", "a\tb", "a\0", "a\x1b[31m", "a\x7f", "a\x85", "a\x9b", "a\u202eb", "a\u200bb", "\ufeffa"),
    *(
        "a\u2028b",
        "a\u00a0b",
        "a\u00adb",
        "\u3164",
        "a\ufe0f",
        "a\U000e0041",
        "a\ud800",
        "a\ue000",
        "a\u0378",
    ),
    *("[red]a[/red]", "<b>", "a|b", "`a`", "*a*", "{}", "{0}", "%s", "$x", "#a", "a;b", 'a"b', "a?b", "!a"),
    *("![a](b)", unicodedata.normalize("NFD", "é"), "\u0301a", "x" * (MOST_BYTES + 1), "模" * 70, "🙂"),
)


@pytest.mark.parametrize("name", GOOD)
def test_a_name_is_given_back_as_it_is(name: str) -> None:
    assert check_name(name, "there") == name


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_what_is_no_name_is_one_line_that_can_be_shown(name: object) -> None:
    with pytest.raises(InputError) as caught:
        check_name(name, "there")
    line = str(caught.value)
    assert line.startswith("there: name: ")
    assert neutral(line) == line
    assert len(line) < 500


@pytest.mark.parametrize("name", [BASE, AVERAGE])
def test_names_with_a_meaning_are_nobody_elses(name: str) -> None:
    assert check_name(name, "there") == name
    with pytest.raises(InputError, match="has a meaning of its own"):
        check_name(name, "there", reserved=(BASE, AVERAGE))


def test_a_model_may_be_called_what_its_folder_is_called_on_one_line() -> None:
    for text in ("/models/my model [v2]", "~/x", "Qwen/Qwen3@abc", "a  b", "#1"):
        assert check_label(text, "there", "model") == text
    for bad in ("", " ", None, 3, "a\nb", "a\x1b", "a\u202e", "x" * 300):
        with pytest.raises(InputError, match=r"there: model: .* must be one line"):
            check_label(bad, "there", "model")


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_file_name_is_one_name_in_its_own_folder(name: str, other: str) -> None:
    made, beside = file_name(name, [other]), file_name(other, [name])
    for one in (made, beside):
        assert Path("folder", one).parent == Path("folder")
        assert Path("folder", one).resolve().parent == Path("folder").resolve()
        assert "\0" not in one
        assert 0 < len(one.encode()) < 200
    assert name == other or made.casefold() != beside.casefold()


def test_an_ordinary_name_is_its_own_file_name() -> None:
    assert file_name("sft-tag") == "sft-tag"
    assert file_name("Their LoRA") == "Their-LoRA"
    assert file_name("a/b", ["c"]) == "a-b"
    assert file_name("a/b", ["a-b"]) != "a-b"
    assert file_name("a", ["A"]) != "a", "some file systems hold them for one"
