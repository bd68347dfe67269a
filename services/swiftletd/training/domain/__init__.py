"""What training decides: pure functions and values, no I/O."""
