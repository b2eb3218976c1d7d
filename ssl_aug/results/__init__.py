"""What trained classifiers leave behind, and the tables made of it."""
