"""The notes made live: every picture redrawn and every claim measured, by the chapters' own code."""
