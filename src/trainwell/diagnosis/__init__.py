"""What is wrong, why, and its remedy: rules over records."""
