"""Means, intervals and paired tests for results that were sampled twice: questions and training seeds.

Everything works on matrices of shape (S seeds, Q questions), one per benchmark, and a mean over several
benchmarks weighs each alike: the benchmarks are fixed, their questions and the seeds are a sample. One
checkpoint is evaluated on every benchmark, so a seed is one cluster across all of them. Where several outputs
were drawn for a question, a matrix holds a value in [0, 1] for it, such as their mean.

`docs/statistics.md` says what each figure means and how often the intervals cover what they promise
(`python -m studies coverage` measures that).
"""

from leaderboards.stats.figures import CONFIDENCE, MACRO, POWER, Difference, Estimate, Matrix
from leaderboards.stats.intervals import mean_interval, wilson_interval
from leaderboards.stats.paired import cohens_h, holm, mcnemar_p, mean_difference, paired_difference, shaffer
from leaderboards.stats.resampling import bootstrap_intervals
from leaderboards.stats.seeds import SeedSpread, seed_spread

__all__ = ["CONFIDENCE", "MACRO", "POWER", "Difference", "Estimate", "Matrix"]
__all__ += ["bootstrap_intervals", "cohens_h", "holm", "mcnemar_p", "mean_difference", "mean_interval"]
__all__ += ["SeedSpread", "paired_difference", "seed_spread", "shaffer", "wilson_interval"]
