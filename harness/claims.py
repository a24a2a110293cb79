"""What a run claims before it is trained: put on record, and pursued with more seeds where that is wanted.

A record names the claim, the trainings that it is about and how they are evaluated, by a digest. It is made
when a run first comes to train them; whatever changes later is another record, made when results may have
been seen. It is as honest as whoever keeps the folder: publish the digest where that is not enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from harness.config import Config
from harness.plan import Plan, with_seeds
from harness.progress import StageReporter
from leaderboards.board.claim_text import parse_claim
from leaderboards.results.schema import RESULTS_FILE, Declared
from leaderboards.results.store import read_outcomes
from sftkey_train import distributed
from tasks.checks import checked
from tasks.errors import InputError
from tasks.files import write_whole
from tasks.reading import read_json
from tasks.seals import content_digest

CLAIMS_FILE = "claims.json"
_OF_THE_MACHINE = ("engine", "engine_settings", "server", "judge", "exact")


def declare(plan: Plan) -> None:
    """Puts the plan's claims on record, those that are not there yet, before anything of it is trained."""
    config = plan.config
    if config.claims:
        known = {one.digest: one for one in _records(config.out)}
        now = {made.digest: known.get(made.digest, made) for made in _made(plan)}
        kept = [one for digest, one in known.items() if digest not in now]
        content = [asdict(one) for one in (*kept, *now.values())]
        write_whole(config.out / CLAIMS_FILE, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def on_record(folder: Path) -> tuple[Declared, ...]:
    """The claims of a run's folder; of several records of one claim, that of the last plan."""
    return tuple({parse_claim(one.claim): one for one in _records(folder)}.values())


def looks(plan: Plan) -> Iterator[Plan]:
    """The plan; where seeds are added until its claim is decided, one for each number of them.

    Raises:
        InputError: Several processes train together, of which all but one leave when that is done.
    """
    config = plan.config
    if not config.until_decided:
        yield plan
        return
    if distributed.count() > 1:
        raise InputError("--until-decided is for one process; stages run side by side on the GPUs there are")
    claim = parse_claim(config.claims[0])
    for count in range(config.first_look, config.max_seeds + 1):
        yield with_seeds(plan, (claim.first, claim.second), count)


def is_decided(config: Config, reporter: StageReporter) -> bool:
    """Whether the stored results decide the claim that seeds are added for."""
    if not config.until_decided:
        return True
    from leaderboards.board.claims import answer_claims
    from leaderboards.results.merge import merge_runs

    runs = [read_outcomes(config.out)]
    claim, groups = parse_claim(config.claims[0]), merge_runs(runs)
    answers = answer_claims(groups, runs, list(groups[0].outcomes), config.claims, config.alpha)
    [answer] = (one for one in answers if parse_claim(one.claim) == claim)
    reporter.line(f"{claim.text}: {answer.verdict} with {answer.difference.num_seeds} seeds")
    return answer.verdict not in ("undecided", "unknown")


def _records(folder: Path) -> list[Declared]:
    path = folder / CLAIMS_FILE
    if not path.exists():
        return []
    content = read_json(path, "damaged ({error}); restore it, or use another folder", kind=list)
    return [checked(Declared, one, str(path)) for one in content]


def _made(plan: Plan) -> Iterator[Declared]:
    """Records of the plan's claims as they would be made now."""
    config = plan.config
    seeds, most = config.seeds, None
    if config.until_decided:
        seeds, most = config.first_look, config.max_seeds
    for claim in map(parse_claim, config.claims):
        sides = (claim.first, claim.second)
        ends = {of: chain[-1] for of, chain in plan.graph.chains.items() if of[0] in sides}
        about = {
            "claim": {name: value for name, value in asdict(claim).items() if name != "text"},
            "trainings": [key for (_, seed), key in ends.items() if seed in plan.seeds],
            "seeds": (seeds, most),
            "benchmarks": config.benchmarks,
            "limit": config.limit,
            "eval": {k: v for k, v in asdict(config.eval).items() if k not in _OF_THE_MACHINE},
        }
        digest = content_digest(about)
        seen = (config.out / RESULTS_FILE).exists() or any(map(plan.is_trained, ends.values()))
        at = datetime.now(UTC).isoformat(timespec="seconds")
        yield Declared(claim.text, digest, at, not seen, seeds, most)
