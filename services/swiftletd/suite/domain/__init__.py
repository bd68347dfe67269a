"""What the supervisor knows and decides: no I/O, no clock."""
