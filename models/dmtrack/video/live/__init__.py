"""Live streams: cameras and network streams, read in threads of their own, with bounded delay."""
