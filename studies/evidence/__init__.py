"""The study on the embedded world: its design, its running, its statistics, and the document they end in."""
