"""What a person looks at: annotated pictures and videos, plots and sheets."""
