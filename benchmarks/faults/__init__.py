"""A fault campaign: what is stored goes bad, runs are killed or meet, input is hostile; nothing may go wrong.

    python -m benchmarks faults                     # all of it, hours; called again, it goes on
    python -m benchmarks faults --part kills --kills 50 --state /tmp/faults

Every case calls the command as a user does, on a tiny run, and compares what comes out with an undamaged
run: its board, samples and curves. There are five ends:

- *healed*: exit code 0, the figures are right, and a line says what was made again;
- *unaffected*: exit code 0, the figures are right;
- *refused*: exit code 2, one line with the path;
- *silently wrong*: exit code 0, other figures. There must be none;
- *crashed*: a traceback, another exit code, no end, or what is left behind. There must be none.
"""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Runs the campaign, and ends the process."""
    from benchmarks.faults import campaign  # here, so that the command of a case imports none of it

    campaign.main(arguments)
