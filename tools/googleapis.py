"""Copy the google/api protos that ours import into build/googleapis, where buf finds them without a network.

They come from the installed googleapis-common-protos, the same package that brings their Python modules.
"""

from __future__ import annotations

import shutil
from importlib.metadata import files
from pathlib import Path

TARGET = Path(__file__).parents[1] / "build" / "googleapis"
NEEDED = (
    "google/api/annotations.proto",
    "google/api/field_behavior.proto",
    "google/api/http.proto",
)


def main() -> None:
    installed = {str(path): path for path in files("googleapis-common-protos") or ()}
    for name in NEEDED:
        target = TARGET / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(installed[name].locate()), target)


if __name__ == "__main__":
    main()
