"""Backup and restore of the whole state."""
