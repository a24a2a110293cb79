"""What is evaluated: checkpoints, and what the leaderboard says of them."""

from __future__ import annotations

from dataclasses import dataclass

from harness.models import Checkpoint
from leaderboards.results.schema import Entry, Evaluation, Role, TrainingCost
from tasks.tags import get_tag_format


@dataclass(frozen=True)
class Candidate:
    """A checkpoint to evaluate.

    Attributes:
        name: As the leaderboard shows it.
        role: The untrained base, a variant trained here, or a checkpoint trained elsewhere.
        model: Its base model, as the leaderboard shows it.
        seed: Of its training.
        tags: Tag format of its outputs: a name, or the path of a YAML file.
        method: How it was trained, where that is known.
        shown_path: Where it is, in errors and on the leaderboard.
        checkpoint: Its weights.
        training: What they cost.
        licence: Of a checkpoint trained elsewhere.
        link: Likewise.
        served: A server holds the model: `checkpoint.model_dir` is the name it has there, and no folder.
    """

    name: str
    role: Role
    model: str
    seed: int | None
    tags: str
    method: str | None
    shown_path: str
    checkpoint: Checkpoint
    training: TrainingCost | None = None
    licence: str | None = None
    link: str | None = None
    served: bool = False

    @property
    def label(self) -> str:
        """How progress names it."""
        return self.name if self.seed is None else f"{self.name} · seed {self.seed}"

    def entry(self, evaluations: tuple[Evaluation, ...]) -> Entry:
        """What is stored of it."""
        tag_format = get_tag_format(self.tags)
        return Entry(
            name=self.name,
            model=self.model,
            role=self.role,
            seed=self.seed,
            tags=tag_format.name,
            tagged=tag_format.tagged,
            method=self.method,
            checkpoint=self.shown_path,
            digest=self.checkpoint.digest,
            training=self.training,
            evaluations=evaluations,
            licence=self.licence,
            link=self.link,
        )
