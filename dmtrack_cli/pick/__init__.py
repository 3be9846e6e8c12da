"""Letting the person draw the targets' boxes: in a window, or on a page in a browser."""
