"""What a checkpoint is asked: lm-eval's tasks, rendered and tokenised as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from harness.config import Config
from harness.engines import Request, Sampling
from harness.evaluation.candidates import Candidate
from sftkey_train.text import PromptStyle, TextPath
from tasks.benchmarks import TASKS_DIR, Benchmark
from tasks.errors import InputError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

FEWSHOT_SEED = 1234
"""lm-eval's own default: the same examples stand before a question in `lm_eval --num_fewshot`."""


class Prompts(Protocol):
    """How prompts are written for a checkpoint: its `TextPath`, or what a server takes."""

    @property
    def style(self) -> PromptStyle:
        """Whether lm-eval applies a chat template."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """What ends a response, beside what the benchmark says."""

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Likewise, as tokens."""

    def render(self, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
        """Turns of a conversation as one text."""

    def ids(self, wrapped: list[str]) -> Sequence[Sequence[int] | str]:
        """Rendered prompts as the engine takes them."""

    def digest(self) -> str:
        """Digest of all that decides the prompts."""


@dataclass(frozen=True)
class Asked:
    """What a candidate is asked on one benchmark, and the text that each request was tokenised from."""

    candidate: Candidate
    benchmark: Benchmark
    requests: tuple[Request, ...]


class Questionnaire:
    """The run's benchmarks as requests.

    Args:
        config: What is asked, and how it is to be answered.
        benchmarks: Resolved from the configuration.
    """

    def __init__(self, config: Config, benchmarks: Sequence[Benchmark]) -> None:
        self._config = config
        self.benchmarks = benchmarks
        self._tasks: dict[str, dict[str, Any]] = {}

    def prompts(self, candidate: Candidate) -> Prompts:
        """How prompts are written for a candidate."""
        if candidate.served:
            from harness.engines.openai import ServedPrompts

            return ServedPrompts.of(self._config.prompt_style)
        from sftkey_train.model import load_tokenizer

        return TextPath.of(load_tokenizer(str(candidate.checkpoint.tokenizer_dir)), self._config.prompt_style)

    def tasks(self, tags: str) -> dict[str, Any]:
        """lm-eval's tasks by name for a tag format, ready to be asked from the first question on."""
        if tags not in self._tasks:
            self._tasks[tags] = self._load(tags)
        for task in self._tasks[tags].values():
            task.set_fewshot_seed(FEWSHOT_SEED)
        return self._tasks[tags]

    def _load(self, tags: str) -> dict[str, Any]:
        from lm_eval.filters import build_filter_ensemble
        from lm_eval.tasks import TaskManager

        config, own = self._config, self._config.eval
        metadata = {
            "tags": tags,
            "data_dir": str(config.data_dir) if config.data_dir else None,
            "alpha": config.alpha,
            "instruct": own.instruct,
            "split": own.split,
        }
        manager = TaskManager(include_path=str(TASKS_DIR), include_defaults=False, metadata=metadata)
        tasks: dict[str, Any] = manager.load([benchmark.task for benchmark in self.benchmarks])["tasks"]
        for task in tasks.values():
            _check_fewshot(task, own.num_fewshot)
            task.set_config("num_fewshot", own.num_fewshot)
            task.set_config("repeats", own.num_samples)
            if own.num_samples > 1:  # lm-eval would score the first alone
                task._filters = [build_filter_ensemble("all", [["take_first_k", {"k": own.num_samples}]])]
        return tasks

    def ask(self, candidate: Candidate, benchmarks: Iterable[Benchmark]) -> list[Asked]:
        """A candidate's requests on each benchmark."""
        prompts = self.prompts(candidate)
        asked = []
        for benchmark in benchmarks:
            task = self.tasks(candidate.tags)[benchmark.task]
            chat = prompts.style == "chat"
            task.build_all_requests(
                limit=self._config.limit,
                apply_chat_template=chat,
                fewshot_as_multiturn=True,
                chat_template=prompts.render if chat else None,
            )
            asked.append(Asked(candidate, benchmark, self.requests(task.instances, prompts)))
        return asked

    def requests(self, instances: Sequence[Instance], prompts: Prompts) -> tuple[Request, ...]:
        """One request for each of lm-eval's instances."""
        written = prompts.ids([instance.args[0] for instance in instances])
        return tuple(
            Request(
                prompt if isinstance(prompt, str) else tuple(prompt),
                self.sampling(instance.args[1], prompts),
            )
            for prompt, instance in zip(written, instances, strict=True)
        )

    def sampling(self, kwargs: dict[str, Any], prompts: Prompts) -> Sampling:
        """A task's generation_kwargs as sampling parameters, the configuration's own values first."""
        own = self._config.eval
        return Sampling(
            max_new_tokens=own.max_new_tokens or int(kwargs["max_gen_toks"]),
            stop=(*kwargs.get("until", ()), *prompts.stop_strings),
            stop_ids=prompts.stop_ids,
            temperature=own.temperature,
            top_p=own.top_p,
            seed=own.seed,
            n=own.num_samples,
        )


def _check_fewshot(task: Any, wanted: int) -> None:
    """lm-eval would fail with a bare assertion."""
    there = len(list(task.fewshot_docs() or ())) if wanted else 0
    if wanted > there:
        raise InputError(
            f"eval.num_fewshot: {task.config.task} has {there} examples that can be shown, not {wanted}; "
            "lower it or leave the benchmark out"
        )
