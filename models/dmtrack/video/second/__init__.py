"""The second stream: what it measures, and how its counts become pictures for the network."""
