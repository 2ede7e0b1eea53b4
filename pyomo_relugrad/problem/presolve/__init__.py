"""Reductions of a problem before anything runs."""
