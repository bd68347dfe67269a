"""What the sync and the async client have in common. No module here does I/O."""
