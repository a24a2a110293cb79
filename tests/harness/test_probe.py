"""The validation probe judges as evaluation does, from the same item: curves and board cannot disagree."""

from collections.abc import Iterator, Sequence

import pytest

from harness.engines.api import Completion, Request, Sampling
from harness.jobs import ValidationProbe
from sftkey_train.embedded import embedded_folder
from sftkey_train.text import TextPath
from tasks.records import Record
from tasks.tags import get_tag_format

RECORD = Record("1", "Sam has 12 and buys 7. How many?", None, None, answer="19", kind="number")
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{{ start }}{% endif %}"
)


class Answering:
    """An engine that has one answer to everything."""

    text, finish_reason = "", "stop"

    def __init__(self, settings: object) -> None: ...

    def adopt(self, model: object, tokenizer: object) -> None: ...

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        for index in range(len(requests)):
            yield index, (Completion(self.text, self.finish_reason, 1, 1),)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch):
    """What the probe sees where the model answers `text` and the chat template's prompt ends with `start`."""
    from transformers import AutoTokenizer

    monkeypatch.setattr("harness.engines.hf.HfEngine", Answering)

    def look(text: str, start: str, finish_reason: str = "stop") -> tuple[float, float]:
        tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
        tokenizer.chat_template = TEMPLATE.replace("{{ start }}", start)
        Answering.text, Answering.finish_reason = text, finish_reason
        path = TextPath.of(tokenizer, "chat")
        probe = ValidationProbe(path, get_tag_format("think-answer"), (RECORD,), (Sampling(9),))
        seen = probe(None)  # type: ignore[arg-type]
        return seen["accuracy"], seen["format_valid"]

    return look


def test_reasoning_that_the_chat_template_opens_counts(looked) -> None:
    text = "12 + 7 = 19\n</think>\n<answer>19</answer>"
    assert looked(text, "<think>\n") == (1, 1)
    assert looked(text, "") == (1, 0), "without the tag in the prompt the output does not keep to the format"


def test_reasoning_that_does_not_end_is_no_answer(looked) -> None:
    text = "12 + 7 = 19, so the answer is 19"
    assert looked(text, "<think>\n", "length") == (0, 0)
