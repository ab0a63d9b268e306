"""What is kept: the run's folder, and the study in it that rules on resume."""
