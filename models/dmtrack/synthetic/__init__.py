"""Made-up sequences with a physical second stream and known boxes, for training and tests."""
