"""Measuring synthetic images: the ruler of real images, the judge of classes, and sweeps."""
