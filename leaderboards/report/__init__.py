"""A board in words: terminal, Markdown, CSV, LaTeX, JSON and the page."""
