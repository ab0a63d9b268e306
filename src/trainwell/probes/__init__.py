"""One experiment a file, on a copy of a Setup: each fills one section of the Observation."""
