"""The seven steps, a file each, and what joins them."""
