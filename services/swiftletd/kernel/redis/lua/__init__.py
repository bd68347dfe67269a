"""Scripts that more than one service runs."""
