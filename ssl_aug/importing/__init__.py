"""What others made, taken in: images as a synthetic set, a published checkpoint as a folder."""
