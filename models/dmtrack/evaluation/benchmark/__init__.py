"""Scoring results of trackers on benchmarks: from files to tables."""
