"""Views that change in place."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.live import Live

from swiftlet.cli.app import App


def follow(app: App, frames: Iterable[RenderableType]) -> None:
    """Show each frame in the place of the one before, until Ctrl-C; one below the other in a pipe."""
    try:
        if not app.out.is_terminal:
            for frame in frames:
                app.show(frame)
            return
        with Live(console=app.out, auto_refresh=False) as live:
            for frame in frames:
                live.update(frame, refresh=True)
    except KeyboardInterrupt:
        return
