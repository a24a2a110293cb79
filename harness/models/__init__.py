"""What is evaluated or trained from: models named by folder or Hub id, and adapters on them.

Weights made elsewhere are data, not code, and are looked at before any engine starts: what would make a run
fail or falsify its figures is refused here with one line.
"""
