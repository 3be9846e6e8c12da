"""Letting the person draw the targets' boxes: on a page in a browser."""
