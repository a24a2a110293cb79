"""Agreement between two judges, and what of it is beyond chance."""

import math

import pytest

from tasks.scoring.many import Agreement, agreement, cohens_kappa


@pytest.mark.parametrize(
    ("both", "first_only", "second_only", "neither", "kappa"),
    [
        (20, 5, 10, 15, 0.4),  # as in every textbook: p_o 0.7, p_e 0.5
        (10, 0, 0, 10, 1.0),
        (0, 10, 10, 0, -1.0),
        (25, 25, 25, 25, 0.0),
        (0, 1, 0, 0, 0.0),
        (10, 0, 0, 0, None),
        (0, 0, 0, 3, None),
    ],
)
def test_cohens_kappa(
    both: int, first_only: int, second_only: int, neither: int, kappa: float | None
) -> None:
    assert cohens_kappa(both, first_only, second_only, neither) == pytest.approx(kappa)


def test_kappa_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    import numpy as np

    draw = np.random.default_rng(0)
    for _ in range(50):
        first, second = draw.random((2, 40)) < draw.random((2, 1))
        expected = metrics.cohen_kappa_score(first, second)
        found = agreement(zip(first.tolist(), second.tolist(), strict=True)).kappa
        assert (found is None) == math.isnan(expected)
        assert found is None or found == pytest.approx(expected)


def test_verdicts_are_compared_pair_by_pair() -> None:
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    assert agreement(pairs) == Agreement(50, 0.7, pytest.approx(0.4))


def test_no_verdicts_have_no_agreement() -> None:
    with pytest.raises(ValueError, match="no verdicts"):
        agreement([])
