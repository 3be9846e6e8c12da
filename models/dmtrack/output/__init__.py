"""Sinks: what a run leaves on disk, streaming and atomic."""
