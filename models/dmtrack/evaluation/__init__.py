"""Metrics and benchmark runs."""
