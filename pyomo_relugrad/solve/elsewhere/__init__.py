"""Searches on other cores and machines: tasks on their way, islands, a companion of short solves."""
