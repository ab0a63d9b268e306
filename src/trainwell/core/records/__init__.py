"""Frozen records without tensors: the words of the house. A file a noun; JSON at the edges (`core/jsonio.py`)."""
