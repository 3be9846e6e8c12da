"""How fast this machine tracks, and where the time goes."""
