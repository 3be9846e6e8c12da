"""The three sample scenes; each module describes one clip as a function of time."""
