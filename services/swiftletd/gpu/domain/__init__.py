"""Who runs where, when, and why not yet: pure decisions, without I/O and without a clock."""
