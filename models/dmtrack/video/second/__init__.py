"""The second stream: what it measures, and how its counts become what the network sees."""
