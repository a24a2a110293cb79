"""How small a difference more seeds or more questions would find, from a pilot or from assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from leaderboards.stats.figures import CONFIDENCE, Matrix, detectable
from leaderboards.stats.intervals import seed_part, variance
from leaderboards.stats.mean_squares import Components, Contents, components, distinct, residuals, sums_of
from leaderboards.stats.seeds import MOST_PRIOR_DF, SeedSpread


@dataclass(frozen=True, slots=True)
class Design:
    """Of what a paired difference of two variants varies, whatever the number of seeds and questions.

    Attributes:
        questions_B: Variance of one question's true difference, on each benchmark.
        cells_B: What one seed's answer to it adds.
        sizes_B: Questions of each benchmark.
        spread: What is known of seeds' effects.
        variants: How many variants say how far seeds differ.
        sides: How many of the two have seeds.
    """

    questions_B: Matrix
    cells_B: Matrix
    sizes_B: Matrix
    spread: SeedSpread
    variants: int
    sides: int = 2

    @classmethod
    def of(
        cls,
        differences: Sequence[Matrix],
        spread: SeedSpread,
        variants: int,
        sides: int = 2,
        contents: Sequence[Contents] | None = None,
    ) -> Design:
        """That of a pilot: (S, Q) differences on each benchmark, of at least two seeds.

        The variance components of a crossed layout, by its mean squares (Cornfield & Tukey 1956,
        doi:10.1214/aoms/1177728067); one that comes out below 0 is 0.
        """
        parts = components([sums_of(layout) for layout in distinct(differences, contents)])
        questions_B = np.maximum(parts.questions_B * parts.sizes_B - parts.cells_B / parts.num_seeds, 0.0)
        return cls(questions_B, parts.cells_B, parts.sizes_B, spread, variants, sides)

    @classmethod
    def assumed(cls, questions: Sequence[int], differ: float, lasting: float, seeds_sd: float) -> Design:
        """That of assumptions, for two variants alone.

        Args:
            questions: Of each benchmark.
            differ: Share of a benchmark's questions that one of two checkpoints alone has right.
            lasting: What share of that is there again with other seeds: what the variants, and not their
                checkpoints, differ in.
            seeds_sd: Standard deviation of a variant's accuracy over seeds, a share of 1.
        """
        sizes_B = np.asarray(questions, dtype=np.float64)
        cells_B = np.full_like(sizes_B, max(differ * (1 - lasting), 1e-6))
        slope = float(cells_B.mean()) / 2
        spread = SeedSpread(seeds_sd / slope, 0, MOST_PRIOR_DF)
        return cls(np.full_like(sizes_B, differ * lasting), cells_B, sizes_B, spread, 2)

    def detectable(self, seeds: int, times: float = 1.0, alpha: float = 1 - CONFIDENCE) -> float | None:
        """The true difference found four times in five with so many seeds of each, and times the questions.

        None where so few seeds say nothing of others.
        """
        df = self.variants * (seeds - 1)
        spread = self.spread._replace(df=df, prior_df=min(float(df), self.spread.prior_df))
        if not spread.known:
            return None
        sizes_B = self.sizes_B * times
        questions_B = self.questions_B / sizes_B + self.cells_B / (seeds * sizes_B)
        parts = Components(questions_B, self.cells_B, np.asarray(0.0), sizes_B, seeds)
        expected = residuals(parts).sum(axis=-1) + seed_part(parts, spread, self.sides)
        parts = replace(parts, seeds=expected)
        total, freedom = variance(parts, spread, self.sides)
        return detectable(float(freedom), float(total) ** 0.5, alpha)

    def seeds_for(
        self, difference: float, times: float = 1.0, alpha: float = 1 - CONFIDENCE, most: int = 100
    ) -> int | None:
        """The least number of seeds of each that finds it four times in five; None where `most` do not."""
        found = ((seeds, self.detectable(seeds, times, alpha)) for seeds in range(2, most + 1))
        return next((seeds for seeds, least in found if least is not None and least <= difference), None)
