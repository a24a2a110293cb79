"""A judge model's verdicts beside the rule's: accuracy, agreement, and Cohen's κ."""

from collections.abc import Sequence

from leaderboards.outcomes import Verdicts
from leaderboards.rows import Judged
from leaderboards.schema import JudgeCheck
from tasks.agreement import cohens_kappa


def judged(verdicts: Verdicts, checks: Sequence[JudgeCheck]) -> Judged | None:
    """One row on one benchmark, all seeds together; None where no verdict could be read."""
    n = verdicts.both + verdicts.rule_only + verdicts.judge_only + verdicts.neither
    if not n:
        return None
    judges = dict.fromkeys(f"{check.model}, prompt {check.prompt_version}" for check in checks)
    return Judged(
        judge=" / ".join(judges),
        n=n,
        unreadable=sum(check.unreadable for check in checks),
        rule_only=verdicts.rule_only,
        judge_only=verdicts.judge_only,
        rule_accuracy=(verdicts.both + verdicts.rule_only) / n,
        judge_accuracy=(verdicts.both + verdicts.judge_only) / n,
        agreement=(verdicts.both + verdicts.neither) / n,
        kappa=cohens_kappa(verdicts.both, verdicts.rule_only, verdicts.judge_only, verdicts.neither),
    )
