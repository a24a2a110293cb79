"""What leaves a run for others: lm-eval files, cards, the Hub."""
