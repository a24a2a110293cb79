"""Many outputs are scored in worker processes as in one, in order; and how far two judges of them agree."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.scoring import Item, many, score, score_many
from tasks.scoring.many import CHUNK_ITEMS, Agreement, agreement, cohens_kappa
from tasks.tags import get_tag_format


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are started after the first item."""
    monkeypatch.setattr(many, "ALONE_SECONDS", 0.0)


def items(number: int) -> Iterator[Item]:
    paper, boxed = get_tag_format("thinking-answer"), get_tag_format("boxed")
    for i in range(number):
        if i % 3:
            output = f"<Thinking>{i} it is</Thinking><Answer>{i % 7}</Answer>"
            yield Item(output, str(i % 5), "number", None, paper, truncated=i % 11 == 0, alpha=0.6)
        else:
            yield Item(f"{i}, so \\boxed{{{i % 7}}}", str(i % 5), "text", None, boxed)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("number", [0, 1, 2, CHUNK_ITEMS + 1, 20 * CHUNK_ITEMS + 3])
def test_in_parallel_the_verdicts_are_those_of_one_process(number: int) -> None:
    alone = [score(item) for item in items(number)]
    assert list(score_many(items(number), workers=2)) == alone
    assert list(score_many(items(number), workers=1)) == alone
    assert not multiprocessing.active_children()


def test_few_outputs_start_no_process() -> None:
    for _ in score_many(items(50), workers=2):
        assert not multiprocessing.active_children()


@pytest.mark.usefixtures("at_once")
def test_items_are_read_as_they_are_needed() -> None:
    read = 0

    def counted() -> Iterator[Item]:
        nonlocal read
        for item in items(100_000):
            read += 1
            yield item

    scores = score_many(counted(), workers=2)
    for _ in range(2 * CHUNK_ITEMS):
        next(scores)
    assert read <= 12 * CHUNK_ITEMS
    assert len(multiprocessing.active_children()) == 2
    scores.close()
    assert not multiprocessing.active_children()


@pytest.mark.usefixtures("at_once")
def test_a_killed_worker_is_one_line() -> None:
    scores = score_many(items(100_000), workers=2)
    for _ in range(2 * CHUNK_ITEMS):
        next(scores)
    multiprocessing.active_children()[0].kill()
    with pytest.raises(InputError, match="was killed; is memory short"):
        list(scores)
    assert not multiprocessing.active_children()


@pytest.mark.usefixtures("at_once")
def test_a_fault_in_the_items_is_raised_and_ends_the_workers() -> None:
    def faulty() -> Iterator[Item]:
        yield from items(5 * CHUNK_ITEMS)
        raise InputError("line 3")

    with pytest.raises(InputError, match="line 3"):
        list(score_many(faulty(), workers=2))
    assert not multiprocessing.active_children()


ENDLESS = """
    import itertools, signal
    from tasks.scoring import many
    from tasks.scoring import Item, score_many
    from tasks.tags import get_tag_format

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)
        many.ALONE_SECONDS = 0.0
        item = Item("5", "5", "number", None, get_tag_format("none"))
        for n, _ in enumerate(score_many(itertools.repeat(item), workers=2)):
            if n == 5000:
                print("ready", flush=True)
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent_and_say_nothing(
    tmp_path: Path, repository: Path, signum: signal.Signals
) -> None:
    script = tmp_path / "endless.py"
    script.write_text(textwrap.dedent(ENDLESS))
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(repository)},
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.kill()
    _, errors = process.communicate(timeout=20)
    assert errors.count("Traceback") <= 1
    assert "SpawnProcess" not in errors
    for _ in range(100):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a worker outlived its parent")


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
