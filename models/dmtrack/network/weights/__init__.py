"""Weights: the files, the published checkpoints they are made of, and where the ones of a name are."""
