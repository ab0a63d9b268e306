"""Rules of the family regularization."""
