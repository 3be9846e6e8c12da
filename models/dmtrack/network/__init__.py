"""The dual-stream network, its building blocks and its checkpoints."""
