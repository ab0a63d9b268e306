"""What ears hear of a training, a noun a record."""
