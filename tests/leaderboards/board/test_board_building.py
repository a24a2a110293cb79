"""The board: ranks, references, comparisons, what is never compared, and what is refused."""

import dataclasses
from collections.abc import Callable

import pandas as pd
import pytest
from synthetic_board import BENCHMARKS, VARIANTS, Variant, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board, Row
from leaderboards.report.findings import sentences
from leaderboards.results.schema import METRICS, Entry, RunResults
from tasks.errors import InputError

BY_NAME = {variant.name: variant for variant in VARIANTS}


def pick(*names: str, seeds: tuple[int | None, ...] | None = None) -> tuple[Variant, ...]:
    variants = [BY_NAME[name] for name in names]
    return tuple(dataclasses.replace(v, seeds=seeds) if seeds and v.stages else v for v in variants)


def row_of(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.name == name)


def change_entries(run: RunResults, change: Callable[[Entry], Entry]) -> RunResults:
    return dataclasses.replace(
        run, entries=tuple(change(entry) for entry in run.entries), source="runs/other"
    )


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([run])


def cautions(run: RunResults) -> str:
    """All that the board of a run tells to beware of."""
    board = build_board([run])
    return " ".join(sentences(board.notes, board))


def test_rows_are_ranked_by_the_macro_average_and_hold_every_entry(board: Board) -> None:
    means = [row.macro.metric("accuracy").estimate.mean for row in board.rows if row.macro]
    assert means == sorted(means, reverse=True)
    assert [row.rank for row in board.rows] == [1, 2, 3, 4, 5, 6, 7]
    assert {row.name for row in board.rows} == set(BY_NAME)
    assert row_of(board, "base").role == "base"
    assert board.benchmarks == BENCHMARKS


def test_a_cell_holds_the_plain_means_of_its_samples(board: Board, run: RunResults) -> None:
    samples = run.samples[(run.samples["entry"] == "sft-tag") & (run.samples["benchmark"] == "world_choice")]
    cell = row_of(board, "sft-tag").cell("world_choice")
    assert cell is not None
    for metric in METRICS:
        assert cell.metric(metric).estimate.mean == pytest.approx(samples[metric].mean())
    estimate = cell.metric("accuracy").estimate
    assert (estimate.num_questions, estimate.num_seeds) == (200, 3)
    assert cell.truncated == pytest.approx(samples["truncated"].mean())
    assert cell.output_tokens == pytest.approx(samples["output_tokens"].mean())
    assert cell.num_outputs == 600
    assert sum(count for _, count in cell.defects) == samples["defects"].map(len).sum()


def test_the_difference_is_taken_on_the_same_questions_and_seeds(board: Board, run: RunResults) -> None:
    keyed = run.samples.set_index(["entry", "seed", "benchmark", "sample_id"])["accuracy"].astype(float)
    difference = (keyed["sftkey-tag"] - keyed["sft-tag-x2"]).groupby("benchmark").mean()
    row = row_of(board, "sftkey-tag")
    for benchmark in BENCHMARKS:
        cell = row.cell(benchmark)
        assert cell is not None
        comparison = cell.metric("accuracy").comparison
        assert comparison is not None
        assert comparison.difference.mean == pytest.approx(difference[benchmark])
        assert len(comparison.difference.mcnemar_p) == 3


def test_the_order_of_the_stored_samples_does_not_matter(board: Board, run: RunResults) -> None:
    shuffled = dataclasses.replace(run, samples=run.samples.sample(frac=1, random_state=1))
    for row, other in zip(board.rows, build_board([shuffled]).rows, strict=True):
        assert row.name == other.name
        assert row.macro is not None
        assert other.macro is not None
        mine, theirs = row.macro.metric("accuracy"), other.macro.metric("accuracy")
        assert mine.estimate.low == pytest.approx(theirs.estimate.low)
        if mine.comparison and theirs.comparison:
            assert mine.comparison.difference.p == pytest.approx(theirs.comparison.difference.p)


def test_near_ties_are_not_called_differences_and_clear_ones_are(board: Board) -> None:
    verdicts = {}
    for row in board.rows:
        comparison = row.macro.metric("accuracy").comparison if row.macro else None
        verdicts[row.name] = comparison.verdict if comparison else None
    assert verdicts["sft-tag-x2"] is None
    assert verdicts["sftkey-tag"] == "undecided"
    assert verdicts["key-tag"] == verdicts["base"] == "worse"


def test_verdicts_go_by_the_corrected_p_value(board: Board) -> None:
    comparisons = [
        cell.metric("accuracy").comparison for row in board.rows for cell in row.cells if not row.is_reference
    ]
    assert board.family_cells == len(comparisons) == 24
    assert board.family_macro == 21, "all pairs of seven entries"
    for comparison in comparisons:
        assert comparison is not None
        assert comparison.p_holm >= comparison.difference.p
        assert (comparison.p_holm < 0.05) == (comparison.verdict in ("better", "worse"))


def test_stars_tiers_pairs_and_sentences_say_the_same(board: Board) -> None:
    said = {(pair.first, pair.second): pair.comparison for pair in board.pairs}
    at = next(number for number, row in enumerate(board.rows) if row.is_reference)
    for number, row in enumerate(board.rows):
        if number == at:
            continue
        assert row.macro is not None
        starred = row.macro.metric("accuracy").comparison
        pair = said[min(number, at), max(number, at)]
        assert starred is not None
        assert (starred.verdict, starred.p_holm) == (
            (pair if number < at else pair.reversed()).verdict,
            pair.p_holm,
        )
        assert (starred.verdict in ("better", "worse")) == (row.tier != board.rows[at].tier) or (
            starred.verdict not in ("better", "worse")
        )


def test_one_seed_gives_no_star_no_tier_and_no_claim() -> None:
    run = synthetic_run(pick("sft", "key-tag", "sft-tag-x2", seeds=(0,)))
    board = build_board([run])
    assert {row.tier for row in board.rows} == {None}
    for known in board.versus.values():
        assert {comparison.verdict for comparison in known.values()} == {"undecided"}
    assert "nothing is claimed of the methods" in " ".join(sentences(board.notes, board))
    [differs] = [said for said in sentences(board.summary, board) if said.startswith("key-tag ")]
    assert "in more than these checkpoints" in differs


def test_what_lies_within_the_margin_is_equivalent() -> None:
    run = synthetic_run(pick("sft-tag", "sftkey-tag", "sft-tag-x2", seeds=tuple(range(8))))
    wide, narrow = (build_board([run], margin=margin) for margin in (0.2, 0.001))
    verdicts = [{pair.comparison.verdict for pair in board.pairs} for board in (wide, narrow)]
    assert "equivalent" in verdicts[0]
    assert "equivalent" not in verdicts[1]
    assert any(
        "is equivalent to" in said and "within 20 points" in said for said in sentences(wide.summary, wide)
    )


def test_on_one_benchmark_the_benchmark_says_what_all_say() -> None:
    run = synthetic_run(pick("sft-tag", "key-tag", "sft-tag-x2"))
    first = change_entries(run, lambda entry: dataclasses.replace(entry, evaluations=entry.evaluations[:1]))
    samples = run.samples[run.samples["benchmark"] == BENCHMARKS[0]]
    board = build_board([dataclasses.replace(first, samples=samples)])
    assert board.benchmarks == BENCHMARKS[:1]
    for key, comparison in board.versus[board.reference].items():
        assert comparison.verdict == board.versus[board.reference][key[0], "macro", key[2]].verdict


@pytest.mark.parametrize(
    ("names", "reference"),
    [
        (("sft", "sft-tag", "sft-tag-x2"), "sft-tag-x2"),
        (("key-tag", "sft-tag", "sft"), "sft-tag"),
        (("key-tag", "sft"), "sft"),
        (("base", "key-tag", "sftkey"), "key-tag"),
    ],
)
def test_the_default_reference_is_the_fairest_control_there_is(
    names: tuple[str, ...], reference: str
) -> None:
    assert build_board([synthetic_run(pick(*names), n=20)]).reference == reference


def test_another_reference_and_metric_can_be_chosen(run: RunResults) -> None:
    board = build_board([run], reference="sft-tag", rank_by="score", alpha=0.0)
    assert (board.reference, board.rank_by) == ("sft-tag", "score")
    row = row_of(board, "sftkey-tag")
    assert row.macro is not None
    formats, score = row.macro.metric("format_valid"), row.macro.metric("score")
    assert score.estimate == formats.estimate


@pytest.mark.parametrize("metric", ["accuracy_strict", "format_valid", "score"])
def test_untagged_entries_are_marked_and_neither_ranked_nor_compared_by_format(
    run: RunResults, metric: str
) -> None:
    board = build_board([run], rank_by=metric)
    untagged = [row for row in board.rows if not row.tagged]
    assert [row.name for row in board.rows[-3:]] == [row.name for row in untagged]
    for row in untagged:
        assert row.rank is None
        assert row.macro is not None
        assert row.macro.metric(board.rank_by).own_format
        assert row.macro.metric(board.rank_by).comparison is None
        assert not row.macro.metric("accuracy").own_format
    assert [row.rank for row in board.rows[:4]] == [1, 2, 3, 4]
    assert "Not ranked" in " ".join(sentences(board.notes, board))


def test_untagged_entries_alone_are_ranked_among_themselves() -> None:
    board = build_board([synthetic_run(pick("sft", "sftkey"), n=30)], rank_by="score")
    assert [row.rank for row in board.rows] == [1, 2]
    assert board.family_macro == 1


def test_compute_is_charged_per_seed_and_the_base_has_none(board: Board) -> None:
    cost = row_of(board, "sftkey-tag").cost
    assert cost is not None
    assert (cost.steps, cost.tokens_forward, cost.tokens_loss) == (184, 420_000, 168_000)
    assert row_of(board, "base").cost is None
    assert row_of(board, "sft").evaluation_seconds == pytest.approx(3 * 4 * 2.5)


def test_the_summary_says_what_the_test_supports(board: Board) -> None:
    assert (
        sentences(board.summary, board)[0]
        == "No entry is better than sft-tag-x2 on accuracy over 4 benchmarks."
    )
    sentence = next(
        sentence for sentence in sentences(board.summary, board) if sentence.startswith("sftkey-tag ")
    )
    assert sentence.startswith("sftkey-tag is not shown to differ from sft-tag-x2 on accuracy (")
    assert "95 % CI" in sentence
    weaker = next(sentence for sentence in sentences(board.summary, board) if sentence.startswith("sft-tag "))
    assert weaker.endswith("with 0.50 times its training compute.")


def test_a_winner_is_named_in_the_headline(run: RunResults) -> None:
    others = build_board([run], reference="key-tag")
    headline = sentences(others.summary, others)[0]
    assert headline.startswith("Better than key-tag on accuracy over 4 benchmarks: sft-tag-x2,")


def test_few_seeds_and_few_questions_are_said_in_words() -> None:
    single = cautions(synthetic_run(pick("sft", "sft-tag", seeds=(0,)), n=40))
    assert "Only 1 seed for" in single
    assert "world_choice has only 40 questions" in single
    two = cautions(synthetic_run(pick("sft", "sft-tag", seeds=(0, 1))))
    assert "not known from 2 seeds of sft and sft-tag" in two
    assert "has only" not in two


@pytest.mark.parametrize(
    ("skills", "named"),
    [
        ((-5.0, -5.0, -2.0), True),
        ((-1.5, 0.0, 1.0), True),
        ((-4.0, -4.0, -3.8), False),
        ((0.5, 0.6, 0.7), False),
    ],
    ids=["near zero", "in the middle", "near zero, alike", "in the middle, alike"],
)
def test_seeds_on_two_sides_of_a_jump_are_named(skills: tuple[float, ...], named: bool) -> None:
    """Near zero a jump is few points wide."""
    [variant] = pick("sft", seeds=(0,))
    parts = [
        synthetic_run((dataclasses.replace(variant, skill=skill, seeds=(seed,)),), n=200)
        for seed, skill in enumerate(skills)
    ]
    run = dataclasses.replace(
        parts[0],
        entries=tuple(entry for part in parts for entry in part.entries),
        samples=pd.concat([part.samples for part in parts], ignore_index=True),
        curves=parts[0].curves.iloc[:0],
    )
    assert ("The seeds of sft lie far apart" in cautions(run)) is named


def test_figures_near_zero_are_called_meaningless(make_run: Callable[..., RunResults]) -> None:
    hopeless = tuple(dataclasses.replace(v, skill=-9.0) for v in pick("sft", "sft-tag"))
    assert "Every accuracy is near zero" in cautions(make_run(hopeless))


def test_verdicts_that_a_limit_decided_are_counted(run: RunResults) -> None:
    of = run.samples["entry"].eq("sft") & run.samples["benchmark"].eq("world_choice")
    rows = run.samples.index[of][:3]
    samples = run.samples.assign(undecided=run.samples.index.isin(rows))
    board = build_board([dataclasses.replace(run, samples=samples)])
    notes = " ".join(sentences(board.notes, board))
    assert "Undecided, and counted as wrong, are outputs whose comparison reached a limit" in notes
    assert "memory: sft on world_choice (3). `harness rescore` tries them again." in notes


def test_questions_that_stand_in_two_benchmarks_count_once(run: RunResults) -> None:
    numbers = run.samples.groupby("benchmark", sort=False)["sample_id"].transform(
        lambda ids: ids.factorize()[0]
    )
    apart = {name: 1000 * at for at, name in enumerate(run.samples["benchmark"].unique())}
    once = numbers + run.samples["benchmark"].map({**apart, "world_number_gap1": apart["world_number"]})
    plain, found = (
        build_board([dataclasses.replace(run, samples=run.samples.assign(content=content))])
        for content in (numbers + run.samples["benchmark"].map(apart), once)
    )
    assert "several times" not in " ".join(sentences(plain.notes, plain))
    assert "stand several times in world_number and world_number_gap1; intervals and tests count" in " ".join(
        sentences(found.notes, found)
    )
    for before, after in zip(plain.rows, found.rows, strict=True):
        assert before.macro
        assert after.macro
        one, other = (row.macro.metric("accuracy").estimate for row in (before, after))
        assert (one.mean, one.by_seed) == (other.mean, other.by_seed)
        assert other.num_questions < one.num_questions


def test_truncated_outputs_and_unequal_settings_are_noted(run: RunResults) -> None:
    def other_budget(entry: Entry) -> Entry:
        if entry.name != "base":
            return entry
        changed = [
            dataclasses.replace(e, generation={**e.generation, "max_tokens": 512, "stop": ()})
            for e in entry.evaluations
        ]
        return dataclasses.replace(entry, evaluations=tuple(changed))

    changed = change_entries(run, other_budget)
    assert_refused([changed], "base in runs/other", "max_tokens 512 / max_tokens 128", "--allow-different")
    board = build_board([changed], allow_different=["generation"])
    notes = " ".join(sentences(board.notes, board))
    assert "were cut at the token limit: base‡ on world_number" in notes
    assert (
        "‡ base is not comparable on world_number, world_number_gap1, world_choice and world_choice_gap1: "
        "other generation settings (max_tokens 512; the others: max_tokens 128)." in notes
    )
    assert "stop" not in notes
    assert [row.name for row in board.rows if row.marks] == ["base"]


def test_seeds_from_several_runs_are_merged_and_copies_count_once() -> None:
    first = synthetic_run(pick("base", "sft-tag", seeds=(0, 1)), n=50)
    other = synthetic_run(pick("base", "sft-tag", seeds=(1, 2)), n=50)
    board = build_board([first, first, other])
    assert row_of(board, "sft-tag").seeds == (0, 1, 2)
    merged, alone = row_of(board, "base"), row_of(build_board([first]), "base")
    assert [cell.num_outputs for cell in merged.cells] == [50, 50, 50, 50]
    assert merged.evaluation_seconds == alone.evaluation_seconds
    assert [c.metric("accuracy").estimate for c in merged.cells] == [
        c.metric("accuracy").estimate for c in alone.cells
    ]
    assert len(board.provenance) == 3


def test_variants_with_different_seeds_are_paired_draw_by_draw() -> None:
    run = synthetic_run(
        (
            dataclasses.replace(BY_NAME["sft"], seeds=(0, 1, 2)),
            dataclasses.replace(BY_NAME["sft-tag"], seeds=(7, 8, 9)),
        ),
        n=50,
    )
    macro = row_of(build_board([run]), "sft").macro
    assert macro is not None
    comparison = macro.metric("accuracy").comparison
    assert comparison is not None
    assert comparison.difference.num_seeds == 3


def test_several_models_are_each_compared_with_their_own_reference() -> None:
    small = synthetic_run(pick("sft", "sft-tag"), n=30)
    entries = tuple(dataclasses.replace(entry, model="other") for entry in small.entries)
    other = dataclasses.replace(small, entries=entries, samples=small.samples.assign(model="other"))
    board = build_board([small, other])
    assert [row.is_reference for row in board.rows].count(True) == 2
    assert "sft · other" in " ".join(sentences(board.summary, board))


def test_an_entry_without_all_benchmarks_is_shown_but_not_ranked() -> None:
    run = synthetic_run(pick("sft", "sft-tag"), n=30)
    entries = tuple(
        dataclasses.replace(entry, evaluations=entry.evaluations[: 2 if entry.name == "sft" else 4])
        for entry in run.entries
    )
    gone = (run.samples["entry"] == "sft") & run.samples["benchmark"].isin(BENCHMARKS[2:])
    board = build_board([dataclasses.replace(run, entries=entries, samples=run.samples[~gone])])
    row = row_of(board, "sft")
    assert (row.rank, row.macro, len(row.cells)) == (None, None, 2)
    assert "for want of results on the same questions of all benchmarks: sft." in " ".join(
        sentences(board.notes, board)
    )


def assert_refused(runs: list[RunResults], *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as error:
        build_board(runs, **options)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_other_questions_are_an_error_and_not_dropped() -> None:
    run = synthetic_run(pick("sft", "sft-tag"), n=20)
    renamed = (run.samples["entry"] == "sft") & (run.samples["sample_id"] == "world_choice-0003")
    samples = run.samples.assign(sample_id=run.samples["sample_id"].mask(renamed, "stranger"))
    assert_refused(
        [dataclasses.replace(run, samples=samples)],
        *("world_choice:", "sft-tag and sft ", "not asked the same questions", "world_choice-0003"),
    )


def test_other_questions_for_another_seed_are_an_error() -> None:
    run = synthetic_run(pick("sft-tag"), n=20)
    renamed = (run.samples["seed"] == 1) & (run.samples["sample_id"] == "world_choice-0003")
    samples = run.samples.assign(sample_id=run.samples["sample_id"].mask(renamed, "stranger"))
    assert_refused([dataclasses.replace(run, samples=samples)], "sft-tag (seed 0) and sft-tag (seed 1)")


def test_another_data_digest_is_an_error(run: RunResults) -> None:
    def other_data(entry: Entry) -> Entry:
        evaluations = tuple(dataclasses.replace(e, data_digest="else") for e in entry.evaluations)
        return dataclasses.replace(entry, evaluations=evaluations)

    assert_refused(
        [run, change_entries(run, other_data)], "world_number", "runs/default", "runs/other", "data"
    )


def test_other_weights_under_the_same_name_and_seed_are_an_error(run: RunResults) -> None:
    other = change_entries(run, lambda entry: dataclasses.replace(entry, digest="else"))
    assert_refused([run, other], "base", "runs/default", "runs/other", "different weights")


def test_two_evaluations_of_one_checkpoint_with_other_settings_are_an_error(run: RunResults) -> None:
    def other_engine(entry: Entry) -> Entry:
        evaluations = tuple(dataclasses.replace(e, engine="vllm") for e in entry.evaluations)
        return dataclasses.replace(entry, evaluations=evaluations)

    assert_refused([run, change_entries(run, other_engine)], "base on world_number", "different engines")


def test_one_name_for_two_kinds_of_entry_is_an_error(run: RunResults) -> None:
    def later_seed(entry: Entry) -> Entry:
        return (
            entry if entry.seed is None else dataclasses.replace(entry, seed=entry.seed + 10, method="lora")
        )

    shifted = dataclasses.replace(
        change_entries(run, later_seed), samples=run.samples.assign(seed=run.samples["seed"] + 10)
    )
    assert_refused([run, shifted], "sft: method is 'full' in runs/default and 'lora' in runs/other")


def test_unknown_names_and_values_are_errors(run: RunResults) -> None:
    assert_refused([run], "no entry named 'nobody'", "sft-tag-x2", reference="nobody")
    assert_refused([run], "unknown metric 'beauty'", "accuracy_strict", rank_by="beauty")
    assert_refused([run], "alpha: 1.5", alpha=1.5)
    assert_refused([dataclasses.replace(run, entries=(), samples=run.samples[:0])], "nothing to put")
