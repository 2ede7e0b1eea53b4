"""Batches of points that climb together: the ways of ``auto`` over boxes and polytopes."""
