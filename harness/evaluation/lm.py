"""lm-eval's LM over the generation store: by the time lm-eval asks, everything has been answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.engines import Completion, Sampling
from harness.evaluation.ask import Prompts
from tasks.errors import InputError
from tasks.scoring.verdict import Output

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance


class Answer(Output):
    """An output with everything the engine said about it, which lm-eval hands back untouched."""

    completion: Completion
    sampling: Sampling
    wall_seconds: float

    @classmethod
    def of(
        cls, completion: Completion, sampling: Sampling, wall_seconds: float, reasoning_open: bool
    ) -> Answer:
        """Wraps a completion; `reasoning_open` says that the prompt ended within the reasoning."""
        answer = cls(completion.text, completion.finish_reason, reasoning_open)
        answer.completion, answer.sampling, answer.wall_seconds = completion, sampling, wall_seconds
        return answer


def store_lm(
    name: str, prompts: Prompts, answer: Callable[[Sequence[Instance]], Sequence[Sequence[Answer]]]
) -> Any:
    """An LM that answers `generate_until`; the tagged benchmarks ask for nothing else.

    A function, so that lm-eval is imported only where it is used.

    Args:
        name: As lm-eval names it.
        prompts: How the chat template is applied.
        answer: Instances, each once, to the n answers of each.
    """
    from lm_eval.api.model import LM

    class StoreLM(LM):
        tokenizer_name = name

        def generate_until(self, requests: list[Instance]) -> list[str]:
            """lm-eval repeats an instance n times, one after the other."""
            once = list({id(request): request for request in requests}.values())
            return [output for outputs in answer(once) for output in outputs]

        def apply_chat_template(
            self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
        ) -> str:
            return prompts.render(chat_history, add_generation_prompt)

        def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
            raise _generates_only()

        def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
            raise _generates_only()

    return StoreLM()


def _generates_only() -> InputError:
    return InputError("this harness evaluates generated responses; a benchmark asks for log-likelihoods")
