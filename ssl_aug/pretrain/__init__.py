"""Makes the embedded world's models from nothing: the trainings, and the one loop that tuning shares."""
