"""Boxes of whole recordings as files: every format we know is read into one type and written from it."""
