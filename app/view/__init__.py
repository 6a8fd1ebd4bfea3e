"""What the pages share: words, frame, and how jobs, answers, citations and gauges look. No torch here."""
