"""What is asked, and when an answer is right: records, benchmarks, tag formats, scoring. No torch here."""
