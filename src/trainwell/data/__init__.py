"""Data in: whatever the user holds becomes a prepared folder that is memory-mapped from then on."""
