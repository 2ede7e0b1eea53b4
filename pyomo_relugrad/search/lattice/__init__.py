"""Branch and bound over boxes of the integers that decide a problem, by ranges of a single expression."""
