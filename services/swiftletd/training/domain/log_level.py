"""How grave a line of a log is, as far as the line itself tells."""

from __future__ import annotations

ERROR, WARNING, INFO = "ERROR", "WARNING", "INFO"
LEVELS = (INFO, WARNING, ERROR)
_LOOKED_AT = 200  # characters; levels stand at the beginning


def level(text: str) -> str:
    """ERROR or WARNING where the line says so, else INFO."""
    head = text[:_LOOKED_AT].upper()
    if "TRACEBACK" in head or "ERROR" in head:
        return ERROR
    return WARNING if "WARN" in head else INFO
