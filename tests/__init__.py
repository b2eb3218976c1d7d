"""Tests, beside packages of the same names."""
