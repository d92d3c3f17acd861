"""Ways to run the trainings of a comparison."""
