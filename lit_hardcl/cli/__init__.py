"""The command line: trainings, and the commands around them."""
