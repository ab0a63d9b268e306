"""Many networks: trials rebuilt from plain specifications, rungs, halving."""
