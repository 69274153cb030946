"""Is a learned serial-parallel multiplier right for all operands? A search for an invariant, and a checker of its own for it."""
