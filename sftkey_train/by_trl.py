"""Stages that TRL trains: DPO on pairs of samples, and GRPO, Dr. GRPO and RLOO on rewards.

TRL has the losses, the advantages and the loop. Ours are the prompts and answers, as the evaluation writes
and reads them, what a response is worth, the saves, and what a step cost. Responses are drawn by
transformers' generate, or by whoever is given as `draw`, in the place of `_generate_single_turn`: TRL's
`rollout_func` is there for GRPO alone.
"""

from __future__ import annotations

import copy
import pkgutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedTokenizerBase, set_seed

from sftkey_train.distributed import whole_weights
from sftkey_train.model import flops_of, forward_flops
from sftkey_train.recorded import OnStep, Recorded, few_threads
from sftkey_train.settings import training_arguments
from sftkey_train.stages import TRL_VERSION, StageNode
from sftkey_train.stored import NAN, StageCost, StageResult, StepMetrics, latest_save
from tasks.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Ids = Sequence[int]
Judge = Callable[[torch.nn.Module, Sequence[int], Sequence[Ids]], Sequence[Mapping[str, float]]]
"""(the model, questions by number, token ids of a response to each) -> the parts of each one's reward."""
Draw = Callable[[torch.nn.Module, Sequence[int], int], list[list[int]]]
"""(the model, questions by number, steps done) -> token ids of a response to each."""


@dataclass(frozen=True)
class Questions:
    """What a stage that learns from rewards is asked, and what becomes of its responses.

    Attributes:
        prompts: Token ids of each question's prompt, in the order in which they are asked.
        max_new_tokens: Longest response.
        stop_ids: Tokens that end a response, beside the tokenizer's own.
        judge: Says what responses are worth.
        draw: Draws them; transformers' generate where None.
        close: Called when the stage has ended, however it did.
    """

    prompts: Sequence[Ids]
    max_new_tokens: int
    stop_ids: Sequence[int]
    judge: Judge
    draw: Draw | None = None
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Pair:
    """A right response to a question and a wrong one, as token ids with the token that ends them."""

    prompt: Ids
    chosen: Ids
    rejected: Ids


def check_trl() -> None:
    """Refuses (InputError) to go on without the version of TRL that this was written for."""
    found = "none"
    with suppress(PackageNotFoundError):
        found = version("trl")
    if found != TRL_VERSION:
        raise InputError(
            f"stages of kind dpo, grpo, dr-grpo and rloo need trl {TRL_VERSION}, and there is {found}: "
            f"pip install trl=={TRL_VERSION}"
        )


def train_by_trl(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    learns_from: Questions | Sequence[Pair],
    node: StageNode,
    on_step: OnStep,
    *,
    scratch: Path,
) -> StageResult:
    """Trains the model in place, in this process.

    Args:
        model: What the stage starts from, see `model.load_for_training`; also what it is held against, which
            TRL loads once more where the weights themselves are trained.
        tokenizer: Its tokenizer.
        learns_from: Pairs for `dpo`, questions for the others.
        node: Kind, options, rewards, budget, seed and settings.
        on_step: Called with every line of the history: each step.
        scratch: Folder for saves within the stage; where it holds one, the stage goes on from there.

    Raises:
        InputError: TRL refuses the settings.
        FloatingPointError: The loss became infinite or not a number.
    """
    check_trl()
    set_seed(node.seed)
    with _as_it_was(model):
        try:
            trainer = _trainer(model, copy.deepcopy(tokenizer), learns_from, node, on_step, scratch)
        except ValueError as error:
            raise InputError(f"{node.label}: {' '.join(str(error).split())[:300]}") from error
        saved = latest_save(scratch)
        if saved is not None:
            trainer.take_up(saved)
        try:
            with few_threads(model):
                trainer.train(resume_from_checkpoint=str(saved) if saved else None)
        finally:
            if isinstance(learns_from, Questions):
                learns_from.close()
        if all(line.equal_groups == 1 for line in trainer.history):
            raise InputError(
                f"{node.label}: the reward never varied between the responses to one question, in "
                f"{node.num_steps} steps, so that nothing was learned; take another, or more samples"
            )
    return StageResult(tuple(trainer.history), trainer.cost, whole_weights(trainer))


@contextmanager
def _as_it_was(model: torch.nn.Module) -> Iterator[None]:
    """Takes back what TRL changes in a model beside its weights."""
    configs = model.config.get_text_config(), model.generation_config
    pads = [config.pad_token_id for config in configs]
    try:
        yield
    finally:
        for config, pad in zip(configs, pads, strict=True):
            config.pad_token_id = pad
        if "ref" in getattr(model, "peft_config", {}):  # a copy of the adapter, to hold it against
            model.delete_adapter("ref")


def _trainer(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    learns_from: Questions | Sequence[Pair],
    node: StageNode,
    on_step: OnStep,
    scratch: Path,
) -> _ByTrl:
    from datasets import Dataset

    options, kind = dict(node.stage.options), node.stage.kind
    common = {
        "run_name": node.label,
        "seed": node.seed,
        "learning_rate": node.learning_rate,
        "max_steps": node.num_steps,
        "warmup_steps": node.warmup_steps,
        "gradient_checkpointing": False,
        "beta": options["beta"],
    }
    if not isinstance(learns_from, Questions):
        pairs = [
            {
                "prompt": "",
                "prompt_ids": list(pair.prompt),
                "chosen_ids": list(pair.chosen),
                "rejected_ids": list(pair.rejected),
            }
            for pair in learns_from
        ]
        rows = max(1, node.responses_per_step // 2)
        config = training_arguments(
            node.settings, scratch, _trl("DPOConfig"), rows, max_length=None, **common
        )
        told = {"args": config, "train_dataset": Dataset.from_list(pairs), "processing_class": tokenizer}
        return _with_pairs()(model, node, on_step, **told)
    common |= {
        "num_generations": int(options["samples"]),
        "generation_batch_size": node.responses_per_step,
        "max_completion_length": learns_from.max_new_tokens,
        "temperature": options["temperature"],
        "top_p": options["top_p"],
        "top_k": 0,
        "epsilon": options["epsilon"],
        "reward_weights": [weight for _, weight in node.stage.rewards],
        "shuffle_dataset": False,  # their order is the seed's already
    }
    if kind != "rloo":
        common["loss_type"] = "grpo" if kind == "grpo" else "dr_grpo"
        common["scale_rewards"] = "group" if kind == "grpo" else "none"
        common["multi_objective_aggregation"] = (
            "normalize_then_sum" if options["normalised"] else "sum_then_normalize"
        )
    config = training_arguments(
        node.settings,
        scratch,
        _trl("RLOOConfig" if kind == "rloo" else "GRPOConfig"),
        node.responses_per_step,
        **common,
    )
    asked = Dataset.from_list([{"prompt": str(number)} for number in range(len(learns_from.prompts))])
    told = {"args": config, "train_dataset": asked, "processing_class": tokenizer}
    return _with_rewards(kind)(model, node, on_step, asked=learns_from, **told)


class _ByTrl(Recorded):
    """What all of them have in common: comes before TRL's own class in the order of methods."""

    def __init__(
        self,
        model: torch.nn.Module,
        node: StageNode,
        on_step: OnStep,
        **of_trl: Any,
    ) -> None:
        self.begin(node, on_step)
        self._flops = flops_of(model, 1, 0), flops_of(model, 0, 1)
        self._forward_flops = forward_flops(model, 1, 0), forward_flops(model, 0, 1)
        super().__init__(model=model, **of_trl)
        self.attend()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: the manifest says what the stage is."""

    def is_logged(self, step: int) -> bool:
        """Every step: they are few, and what TRL adds up is lost where a step is not logged before a save."""
        return True

    @property
    def cost(self) -> StageCost:
        """What the stage took so far."""
        tokens, with_loss = self._counted.tolist()
        flops, forward = (own[0] * tokens + own[1] * with_loss for own in (self._flops, self._forward_flops))
        asks, draws = dict(self._node.stage.options)["beta"] > 0, self._node.num_questions > 0
        return StageCost(
            steps=self._node.num_steps,
            tokens_forward=tokens,
            tokens_loss=with_loss,
            flops=flops,
            wall_seconds=self.seconds,
            reference_tokens=tokens * asks,
            reference_flops=forward * asks,
            sampled_tokens=tokens * draws,
            sampled_flops=forward * draws,
        )

    def count(self, prompts: Sequence[Ids], responses: Sequence[Ids]) -> None:
        """Counts what is trained on: each prompt with its response."""
        with_loss = sum(map(len, responses))
        self._counted += torch.tensor([with_loss + sum(map(len, prompts)), with_loss])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """TRL adds what it has measured; then the step is a line of history."""
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        step = self.state.global_step
        if not abs(logs["loss"]) < float("inf"):
            raise FloatingPointError(
                f"{self._node.label}: the loss is {logs['loss']} at step {step}; lower the learning rate"
            )
        named = [name for name, _ in self._node.stage.rewards] or ["chosen", "rejected"]
        parts = {name: _first(logs, f"rewards/{name}/mean", f"rewards/{name}") for name in named}
        self.keep(
            StepMetrics(
                step=step,
                num_steps=self.state.max_steps,
                loss=logs["loss"],
                loss_thinking=NAN,
                loss_answer=NAN,
                loss_tags=NAN,
                learning_rate=logs["learning_rate"],
                tokens=int(self._counted[0]),
                wall_seconds=self.seconds,
                gradient_norm=_first(logs, "grad_norm"),
                reward=_first(logs, "reward", "rewards/margins"),
                kl=_first(logs, "kl"),
                entropy=_first(logs, "entropy"),
                response_tokens=_first(logs, "completions/mean_length"),
                equal_groups=_first(logs, "frac_reward_zero_std"),
                rewards=parts,
            )
        )


def _trl(name: str) -> Any:
    """What TRL has under a name, without its warnings of which vLLM it would drive: it drives none here."""
    with warnings.catch_warnings(action="ignore"):
        return pkgutil.resolve_name(f"trl:{name}")


def _first(logs: Mapping[str, float | None], *names: str) -> float:
    return next((float(value) for name in names if (value := logs.get(name)) is not None), NAN)


def _with_pairs() -> type[_ByTrl]:
    class Dpo(_ByTrl, _trl("DPOTrainer")):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:
            return dataset  # in token ids already, as the evaluation's prompts and answers are

        def _compute_loss(self, model: Any, inputs: Any, return_outputs: bool) -> Any:
            attended, answered = inputs["attention_mask"], inputs["completion_mask"]
            self._counted += torch.stack([attended.sum(), answered.sum()]).cpu()
            return super()._compute_loss(model, inputs, return_outputs)

    return Dpo


def _with_rewards(kind: str) -> type[_ByTrl]:
    class Rewarded(_ByTrl, _trl("RLOOTrainer" if kind == "rloo" else "GRPOTrainer")):  # type: ignore[misc]
        def __init__(
            self,
            model: torch.nn.Module,
            node: StageNode,
            on_step: OnStep,
            asked: Questions,
            **of_trl: Any,
        ) -> None:
            self._asked = asked
            self._judged: tuple[Any, Sequence[Mapping[str, float]]] = (None, ())
            functions = [self._part(name) for name, _ in node.stage.rewards]
            super().__init__(model, node, on_step, reward_funcs=functions, **of_trl)
            ends = [*dict.fromkeys([*self.eos_token_ids, *asked.stop_ids])]
            self.eos_token_ids: list[int] = ends
            self.generation_config.eos_token_id = ends
            self.generation_kwargs["eos_token_id"] = ends

        def _part(self, name: str) -> Callable[..., list[float]]:
            """One reward as TRL asks for it; all of them are judged at once."""

            def function(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
                if self._judged[0] is not completion_ids:
                    numbers = [int(prompt) for prompt in prompts]
                    self._judged = completion_ids, self._asked.judge(self.model, numbers, completion_ids)
                return [parts[name] for parts in self._judged[1]]

            function.__name__ = name
            return function

        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            """A question comes by its number."""
            self._numbers = [int(prompt) for prompt in prompts]
            return [list(self._asked.prompts[number]) for number in self._numbers], None, {}

        def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **named: Any) -> Any:
            if self._asked.draw is None:
                made = super()._generate_single_turn(prompt_ids, *args, **named)
            else:
                responses = self._asked.draw(self.model, self._numbers, self.state.global_step)
                made = responses if kind == "rloo" else (responses, None)
            self.count(prompt_ids, made[0] if isinstance(made, tuple) else made)
            return made

    return Rewarded
