"""What was found out, and the commands that found it out: each writes a document under `docs/`.

`study` asks whether emphasising key tokens helps, on the embedded world (its rooms are in `evidence/`);
`coverage` holds the intervals and tests of `leaderboards.stats` against simulated worlds (`simulated/`);
`bases` makes the embedded base models.
"""
