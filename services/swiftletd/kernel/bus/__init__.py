"""Events between the parts of the suite, on Redis streams."""
