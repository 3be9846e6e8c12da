"""Benchmark folders: sequence layouts and ground truth."""
