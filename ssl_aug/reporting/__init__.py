"""The report: one HTML page to look at a synthetic set and what it did."""
