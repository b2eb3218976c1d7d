"""The augmented labeled set for other codebases: one file per target, each with `write` and `read`."""
