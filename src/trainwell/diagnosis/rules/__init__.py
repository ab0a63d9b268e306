"""One rule a file, one family a folder, one table: `table.py`."""
