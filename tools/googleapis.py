"""Copy the google/api protos that ours import into build/googleapis, where buf finds them without a network.

They come from the installed googleapis-common-protos, the same package that brings their Python modules.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "build" / "googleapis"
INSTALLED = {str(path): Path(str(path.locate())) for path in files("googleapis-common-protos") or ()}
# The google.protobuf ones come with buf itself.
IMPORT = re.compile(r'^import (?:public )?"(google/(?!protobuf/)[^"]+)";', re.MULTILINE)


def imports(proto: Path) -> Iterator[str]:
    """The google protos that `proto` needs, directly or through another one."""
    for name in IMPORT.findall(proto.read_text(encoding="utf-8")):
        yield name
        yield from imports(INSTALLED[name])


def main() -> None:
    for name in {name for proto in (ROOT / "protos").rglob("*.proto") for name in imports(proto)}:
        target = TARGET / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(INSTALLED[name], target)


if __name__ == "__main__":
    main()
