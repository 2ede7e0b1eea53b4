"""One run: its clock and counters, its options, what it keeps, reports and returns, and its log."""
