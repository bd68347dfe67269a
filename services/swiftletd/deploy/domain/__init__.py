"""What deploy decides: pure functions and values, no I/O."""
