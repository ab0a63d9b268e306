"""What goes in: networks for tables and pictures, built from plain records, and finished ones on disk."""
