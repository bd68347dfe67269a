"""Lua scripts that live beside the code that calls them, one file each, run by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Protocol

from redis.exceptions import NoScriptError

MARK_PACKAGE = "swiftletd.kernel.redis.lua"


class Commands(Protocol):
    """What sends commands to Redis: redis.asyncio.Redis, or Together for it."""

    async def execute_command(self, *args: Any) -> Any: ...


class Script:
    """One atomic operation. The first use on a fresh server sends the text, later ones the hash."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def load(cls, package: str, name: str, *, marked: bool = False) -> Script:
        """The script `name`.lua of a package; a `marked` one keeps the marks of requests (lua/mark.lua)."""
        text = _read(package, name)
        return cls(_read(MARK_PACKAGE, "mark") + text if marked else text)

    async def __call__(self, redis: Commands, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Run it. It ran as a whole or not at all, so sending the text after NOSCRIPT is safe."""
        try:
            return await redis.execute_command("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await redis.execute_command("EVAL", self.text, len(keys), *keys, *args)


def _read(package: str, name: str) -> str:
    return resources.files(package).joinpath(f"{name}.lua").read_text("utf-8")
