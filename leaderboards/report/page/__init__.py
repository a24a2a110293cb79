"""The leaderboard as one HTML file that opens offline: template, style and script, inlined when written."""
