"""Classifiers and semi-supervised methods trained on labeled sets, plain and augmented."""
