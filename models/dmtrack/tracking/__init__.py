"""Following targets: template memory, the tracker, and what it reports."""
