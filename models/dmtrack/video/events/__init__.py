"""Event cameras: reading their file formats, cutting events into windows of time, drawing pictures."""
