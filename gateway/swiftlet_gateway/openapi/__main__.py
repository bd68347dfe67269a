"""Write the OpenAPI document, or prove that the committed one is what the protos give.

usage: python -m swiftlet_gateway.openapi [--check] [--protos DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from swiftlet_gateway.openapi import COMMITTED
from swiftlet_gateway.openapi.comments import comments
from swiftlet_gateway.openapi.document import build

PROTOS = Path(__file__).parents[3] / "protos"


def main() -> None:
    """Needs a checkout: the comments are in the protos, not in the stubs."""
    parser = argparse.ArgumentParser(description="Generate the OpenAPI document.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail where the document differs"
    )
    parser.add_argument("--protos", type=Path, default=PROTOS, help="folder of the protos")
    arguments = parser.parse_args()
    fresh = json.dumps(build(comments(arguments.protos)), indent=1) + "\n"
    if not arguments.check:
        COMMITTED.write_text(fresh)
    elif fresh != COMMITTED.read_text():
        sys.exit("openapi.json is not what the protos give; run `python -m swiftlet_gateway.openapi`.")


if __name__ == "__main__":
    main()
