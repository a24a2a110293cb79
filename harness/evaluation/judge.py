"""A judge model beside the rule: does an output's final answer say the same as the reference?

As in arXiv 2512.21017, where Llama-3-70B-Instruct judged. The rule goes on ranking; the judge's verdicts
stand beside it, with their agreement, and where the two differ is listed sample by sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, NamedTuple

from harness.config import JudgeSettings
from harness.engines.api import Completion, EngineSettings, Request, Sampling, server_url
from harness.engines.registry import create_engine
from harness.evaluation.generations import GenerationStore, generation_key
from harness.progress import Reporter
from leaderboards.results.schema import Entry, JudgeCheck
from tasks.errors import InputError, did_you_mean
from tasks.files import write_whole
from tasks.names import check_label
from tasks.records import LETTERS, Record
from tasks.secrets import one_line
from tasks.shown import json_text
from tasks.tags import TagFormat, get_tag_format, parse_output

if TYPE_CHECKING:
    import pandas as pd

DIFFERENCES_FILE = "judge_differences.jsonl"
MAX_CANDIDATE_CHARS = 2_000
_PROMPTS = Path(__file__).parent / "judge_prompts"
_VERDICTS = {"CORRECT": True, "INCORRECT": False}


@dataclass(frozen=True)
class JudgePrompt:
    """A prompt from `harness/evaluation/judge_prompts`, with $question, $reference and $candidate."""

    version: str  # its name and the digest of its text
    template: Template

    @classmethod
    def load(cls, name: str) -> JudgePrompt:
        """Reads a prompt; InputError where there is none of this name."""
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
    said = completion.text.rpartition("</think>")[2]  # a reasoning judge weighs both words first
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


class JudgeModel:
    """Asks a judge model on a server; verdicts are kept in the generation store, and asked for once.

    InputError where the server cannot be asked which model it has, or the prompt is not there.
    """

    def __init__(self, settings: JudgeSettings, store: GenerationStore, reporter: Reporter) -> None:
        from harness.engines.openai_wire import ServedPrompts, served_digest

        self._store, self._reporter = store, reporter
        self.prompt = JudgePrompt.load(settings.prompt)
        self.model = settings.model or _only_model(settings)
        url = server_url(settings.server)
        self.shown = f"{self.model} at {url}"
        self._digest = served_digest(url, self.model)
        self._engine = create_engine("openai", EngineSettings(), settings.server)
        self._path = ServedPrompts.of("chat")
        self._sampling = Sampling(max_new_tokens=settings.max_new_tokens)

    def ask(self, prompts: Iterable[str]) -> dict[str, Completion]:
        """What the judge says to each prompt; the same prompt is asked once."""
        # The prompt's version too: the same words of another prompt are another question.
        made_by = (self._engine.name, self._engine.version, self._engine.dtype, self.prompt.version)
        key_of = {
            prompt: generation_key(self._digest, self._path.wrap(prompt), self._sampling, 0, made_by)
            for prompt in prompts
        }
        found = {key: completion for key, (completion, _) in self._store.get(key_of.values()).items()}
        missing = [prompt for prompt, key in key_of.items() if key not in found]
        stored = len(key_of) - len(missing)
        with self._reporter.evaluation(f"judge {self.model}", len(key_of), stored) as progress:
            if missing:
                self._engine.load(Path(self.model))
                written = self._path.ids([self._path.wrap(prompt) for prompt in missing])
                requests = [Request(prompt, self._sampling) for prompt in written]
                keys = [(key_of[prompt],) for prompt in missing]
                answers = self._store.put_as_finished(self._engine.generate(requests), keys)
                for index, (completion,) in answers:
                    found[keys[index][0]] = completion
                    progress.advance(completion.num_output_tokens)
        return {prompt: found[key] for prompt, key in key_of.items()}


def _only_model(settings: JudgeSettings) -> str:
    from harness.engines.openai import served_models

    listed = list(served_models(settings.server))
    url = server_url(settings.server)
    if len(listed) != 1:
        several = f"has several models ({one_line(', '.join(listed), 1000)})"
        has = several if listed else "does not say which model it has"
        raise InputError(f"{url}: {has}; name the judge with eval.judge.model")
    return check_label(listed[0], url, "its model")


def judge_results(
    results: Sequence[tuple[Entry, pd.DataFrame]],
    tags: Sequence[str],
    records: Mapping[str, Sequence[Record]],
    settings: JudgeSettings,
    store: GenerationStore,
    reporter: Reporter,
    run_dir: Path,
) -> list[tuple[Entry, pd.DataFrame]]:
    """Has every output judged; an output with nothing to judge is incorrect without a question.

    Returns the same with each sample's verdict and each evaluation's `JudgeCheck`. Where judge and rule
    differ, and what could not be read, goes to `judge_differences.jsonl` in `run_dir`. InputError where the
    judge cannot be asked, or none of its verdicts on a benchmark can be read.
    """
    judge = JudgeModel(settings, store, reporter)
    record_of = {(name, record.id): record for name, some in records.items() for record in some}
    asked = [
        _asked(frame, get_tag_format(name), record_of, judge.prompt)
        for (_, frame), name in zip(results, tags, strict=True)
    ]
    said = judge.ask(one.prompt for some in asked for one in some if one.prompt is not None)
    judged = []
    lines: list[str] = []
    for (entry, frame), some in zip(results, asked, strict=True):
        verdicts = [False if one.prompt is None else read_verdict(said[one.prompt]) for one in some]
        lines += _differences(frame, some, verdicts, said)
        judged.append(_with_verdicts(entry, frame, verdicts, judge))
    write_whole(run_dir / DIFFERENCES_FILE, "".join(f"{line}\n" for line in lines))
    reporter.line(f"  judge {judge.model}: {len(lines)} verdicts differ from the rule's or cannot be read")
    return judged


class _Asked(NamedTuple):
    """What the judge is shown of a sample; no prompt where there is nothing to judge."""

    record: Record
    candidate: str | None
    prompt: str | None


def _asked(
    frame: pd.DataFrame,
    tag_format: TagFormat,
    record_of: Mapping[tuple[str, str], Record],
    prompt: JudgePrompt,
) -> list[_Asked]:
    asked = []
    columns = (frame[name] for name in ("benchmark", "sample_id", "output", "truncated"))
    for benchmark, sample_id, output, truncated in zip(*columns, strict=True):
        record = record_of[benchmark, sample_id]
        candidate = final_part(output, tag_format, truncated=bool(truncated))
        asked.append(_Asked(record, candidate, prompt.write(record, candidate) if candidate else None))
    return asked


def _with_verdicts(
    entry: Entry, frame: pd.DataFrame, verdicts: Sequence[bool | None], judge: JudgeModel
) -> tuple[Entry, pd.DataFrame]:
    import pandas as pd

    frame = frame.assign(judge=pd.array(list(verdicts), dtype="boolean"))
    evaluations = []
    for one in entry.evaluations:
        own = frame.loc[frame["benchmark"] == one.benchmark, "judge"]
        unreadable = int(own.isna().sum())
        if unreadable == len(own):
            raise InputError(
                f"judge {judge.shown}: none of its {len(own)} verdicts on {one.benchmark} can be read; take "
                "a model that follows instructions, or raise eval.judge.max_new_tokens if it reasons at "
                "length"
            )
        check = JudgeCheck(judge.shown, judge.prompt.version, len(own), unreadable)
        evaluations.append(replace(one, judge=check))
    return replace(entry, evaluations=tuple(evaluations)), frame


def _differences(
    frame: pd.DataFrame,
    asked: Sequence[_Asked],
    verdicts: Sequence[bool | None],
    said: Mapping[str, Completion],
) -> Iterable[str]:
    """A line of JSON for each sample on which judge and rule differ, or whose verdict cannot be read."""
    names = ("entry", "model", "seed", "benchmark", "sample_id", "sample_index", "extracted", "accuracy")
    rows = zip(*(frame[name].astype(object).where(frame[name].notna(), None) for name in names), strict=True)
    for row, one, verdict in zip(rows, asked, verdicts, strict=True):
        fields = dict(zip(names, row, strict=True))
        rule = bool(fields.pop("accuracy"))
        if verdict != rule:
            shown = {
                "question": one.record.question,
                "reference": one.record.answer,
                "candidate": one.candidate,
                "rule": rule,
                "judge": verdict,
                "said": said[one.prompt].text if one.prompt else None,
            }
            yield json_text({**fields, **shown}, default=int)
