"""Datasets as lists of files and integers, and the few-label split."""
