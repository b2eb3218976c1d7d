"""Tuning the generator to the training images: the plan, the loop, its reports and the tuned weights."""
