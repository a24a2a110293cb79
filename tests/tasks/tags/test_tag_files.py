"""Tag formats by name: the named ones, one's own in a YAML file, and those that a run has kept."""

from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.records import Record
from tasks.tags import (
    KEPT_FORMATS,
    TagFormat,
    format_of,
    get_tag_format,
    keep_formats,
    parse_output,
    render_response,
)

SCRATCHPAD = """
think_open: <scratchpad>
think_close: </scratchpad>
answer_open: <result>
answer_close: </result>
"""


def read(tmp_path: Path, text: str, name: str = "own.yaml") -> TagFormat:
    (tmp_path / name).write_text(text)
    return get_tag_format(str(tmp_path / name))


@pytest.mark.parametrize(
    ("text", "response"),
    [
        (SCRATCHPAD, "<scratchpad>Add.</scratchpad>\n<result>5</result>"),
        (SCRATCHPAD + "whitespace: strict", "<scratchpad>\nAdd.\n</scratchpad>\n<result>\n5\n</result>"),
        (SCRATCHPAD + "think_open_in_prompt: true", "Add.</scratchpad>\n<result>5</result>"),
        ("answer_open: '[['\nanswer_close: ']]'", "Add.\n[[5]]"),
        ("think_open: <|think|>\nthink_close: <|end|>", "<|think|>\nAdd.\n<|end|>\n\n5"),
        ("think_open: <t>\nthink_close: </t>\nanswer_style: boxed", "<t>\nAdd.\n</t>\n\n\\boxed{5}"),
        ("answer_style: line\nanswer_open: 'Final answer: '", "Add.\nFinal answer: 5"),
        ("answer_style: line\nanswer_open: 'ANSWER is '\nanswer_close: '!'", "Add.\nANSWER is 5!"),
    ],
)
def test_a_format_of_ones_own_renders_and_parses(tmp_path: Path, text: str, response: str) -> None:
    own = read(tmp_path, text)
    rendered = render_response(Record("r", "2+3?", None, "Add.", "5", "number"), own)
    assert rendered.text == response
    parsed = parse_output(response, own, truncated=False)
    assert (parsed.format_valid, parsed.thinking, parsed.answer) == (True, "Add.", "5")
    cut = parse_output(response[: response.index("Add.") + 4], own, truncated=True)
    assert (cut.answer, cut.format_valid) == (None, False)


def test_what_is_not_said_is_made_up(tmp_path: Path) -> None:
    own = read(tmp_path, SCRATCHPAD)
    assert (own.name, own.tagged) == ("own", True)
    assert own.description == "<scratchpad>…</scratchpad><result>…</result>"
    assert own.instruction == (
        "Reason step by step inside <scratchpad> and </scratchpad>, then give only the final answer inside "
        "<result> and </result>."
    )
    named = read(tmp_path, SCRATCHPAD + "name: pad\ndescription: d\nsource: s\ninstruction: i")
    assert (named.name, named.description, named.source, named.instruction) == ("pad", "d", "s", "i")


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    """Neither the path nor the name decides it, and a changed file is read again."""
    first, second = read(tmp_path, SCRATCHPAD), read(tmp_path, SCRATCHPAD + "name: pad", "other.yaml")
    assert first.digest() == second.digest()
    changed = read(tmp_path, SCRATCHPAD.replace("result", "outcome"))
    assert changed.answer_open == "<outcome>"
    assert changed.digest() != first.digest()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected the keys of a tag format"),
        ("- a", "expected the keys of a tag format"),
        (SCRATCHPAD + "name: '{x}'", "name: '{x}' holds '{'"),
        (SCRATCHPAD + "name: ../x", "name: '../x' has a part that"),
        ("a: [", "not YAML"),
        ("think_opn: <t>", "unknown key 'think_opn'; did you mean 'think_open'"),
        ("think_open: 3", "think_open is a number; write a text"),
        ("think_open_in_prompt: 'yes'", "think_open_in_prompt is a text; write true or false"),
        ("answer_style: box", "answer_style is 'box'; did you mean 'boxed'"),
        ("whitespace: exact", "whitespace is 'exact'; known: loose, strict"),
        ("think_open: <t>", "think_open and think_close belong together"),
        ("answer_open: <a>", "answer_open and answer_close are needed"),
        ("instruction: Think.", "no marks at all"),
        ("think_open: <t>\nthink_close: <T>", "two marks are the same"),
        (SCRATCHPAD.replace("<result>", '"<result>\\n"'), "answer_open: whitespace at its ends"),
        (SCRATCHPAD + "answer_style: text", "answer_style: text has no marks around the answer"),
        (SCRATCHPAD + "answer_style: boxed", "needs an answer_open that ends in {"),
        ("answer_style: line", "answer_open: needed for answer_style: line"),
        ("answer_style: boxed\nwhitespace: strict", "whitespace: strict is about tags"),
        ("answer_style: boxed\nthink_open_in_prompt: true", "think_open_in_prompt: needs think_open"),
        (SCRATCHPAD + "name: boxed", "'boxed' is a format of the harness"),
    ],
)
def test_a_fault_is_one_line_with_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'own.yaml'}: ")
    assert complaint in message
    assert "\n" not in message


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"missing\.yaml: tag format cannot be read \(No such file"):
        get_tag_format("missing.yaml")


def test_an_unknown_format_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'thinking-answer'"):
        get_tag_format("thinking_answer")


def test_a_format_of_ones_own_is_kept_and_found_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: scratchpad\nthink_open: <s>\nthink_close: </s>\nanswer_open: <r>\nanswer_close: </r>\n"
    )
    digest = get_tag_format(str(file)).digest()
    keep_formats(tmp_path, ["none", str(file), "thinking-answer", str(file)])
    file.unlink()
    assert format_of(tmp_path, "scratchpad").digest() == digest
    assert format_of(tmp_path, "thinking-answer") == get_tag_format("thinking-answer")


def test_a_run_with_named_formats_keeps_no_files(tmp_path: Path) -> None:
    keep_formats(tmp_path, ["none", "think"])
    assert not (tmp_path / KEPT_FORMATS).exists()


def test_a_format_that_nobody_kept_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown tag format 'scratchpad'"):
        format_of(tmp_path, "scratchpad")
