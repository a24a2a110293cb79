"""What was found out, and the commands that found it out.

`study` runs what `declared/` declares, and writes its document and its board; `coverage`, `families` and
`sequential` hold the intervals and tests of `leaderboards.stats` against simulated worlds (`simulated/`);
`judge` asks a real model to judge beside the rule; `bases` makes the embedded base models.
"""
