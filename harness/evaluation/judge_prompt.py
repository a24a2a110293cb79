"""What a judge is shown of an output, and how its verdict is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from string import Template

from harness.engines import Completion
from tasks.errors import InputError, did_you_mean
from tasks.records import LETTERS, Record
from tasks.tags import TagFormat, parse_output

MAX_CANDIDATE_CHARS = 2_000
_PROMPTS = Path(__file__).parent / "judge_prompts"
_VERDICTS = {"CORRECT": True, "INCORRECT": False}


@dataclass(frozen=True)
class JudgePrompt:
    """A prompt from `harness/evaluation/judge_prompts`.

    Attributes:
        version: Its name and the digest of its text.
        template: With $question, $reference and $candidate.
    """

    version: str
    template: Template

    @classmethod
    def load(cls, name: str) -> JudgePrompt:
        """Reads a prompt.

        Raises:
            InputError: There is none of this name.
        """
        known = sorted(path.stem for path in _PROMPTS.glob("*.txt"))
        if name not in known:
            raise InputError(f"eval.judge.prompt: no prompt {name!r}: {did_you_mean(name, known)}")
        text = (_PROMPTS / f"{name}.txt").read_text(encoding="utf-8")
        return cls(f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:12]}", Template(text))

    def write(self, record: Record, candidate: str) -> str:
        """The prompt for one answer; a choice is referred to by its letter and its text."""
        choices = dict(zip(LETTERS, record.choices or (), strict=False))
        question = "\n".join([record.question, *(f"{letter}. {text}" for letter, text in choices.items())])
        text = choices.get(record.answer)
        reference = f"{record.answer}. {text}" if text else record.answer
        return self.template.substitute(question=question, reference=reference, candidate=candidate)


def read_verdict(completion: Completion) -> bool | None:
    """The verdict of a judge, strictly: one word on a line of its own, after any reasoning; else None."""
    if completion.finish_reason == "length":
        return None
    said = completion.text.rpartition("</think>")[2]
    found = {line.strip() for line in said.splitlines()} & _VERDICTS.keys()
    return _VERDICTS[found.pop()] if len(found) == 1 else None


def final_part(output: str, tag_format: TagFormat, *, truncated: bool) -> str | None:
    """What a judge needs of an output: its answer, or what follows its reasoning, or its end.

    None where there is nothing to judge: the output is blank, or ends inside its reasoning, which is never
    an answer.
    """
    parsed = parse_output(output, tag_format, truncated=truncated)
    if parsed.answer is not None:
        return parsed.answer
    if parsed.in_thinking:
        return None
    text = output if parsed.rest is None else parsed.rest
    return text.strip()[-MAX_CANDIDATE_CHARS:] or None
