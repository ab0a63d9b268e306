"""Characters that turn the reading direction of text: invisible, so that a name can read as another one."""

DIRECTIONS = frozenset(map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""Marks, embeddings, overrides and isolates (Unicode Standard Annex 9, section 2)."""
