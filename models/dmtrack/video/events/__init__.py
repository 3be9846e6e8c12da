"""Event cameras: every file format they write, cut into windows of time and drawn as pictures."""
