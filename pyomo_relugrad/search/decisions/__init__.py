"""Search over the few columns that decide a problem: all others follow from them, in closed form and in batches."""
