"""One run: what is asked for, a recording tracked into a folder, and its record."""
