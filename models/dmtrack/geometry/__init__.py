"""Boxes in frame pixels and square crops: the only maps between frame and crop."""
