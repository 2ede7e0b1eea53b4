"""Batches of points that descend together: the ways of ``auto`` over boxes and polytopes."""
