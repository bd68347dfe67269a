"""Build the gateway's configuration and become Envoy.

usage: python -m swiftlet_gateway [--out DIR] [--write | --validate]

The environment says the rest; see README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from swiftlet_gateway.config import command, write_config
from swiftlet_gateway.settings import load


def main() -> None:
    """Write the configuration, then run Envoy in the place of this process."""
    arguments = _arguments()
    settings = load()
    try:
        paths = write_config(settings.options(arguments.out))
    except (ValueError, OSError) as error:
        sys.exit(f"The gateway's configuration can't be written: {error}")
    if arguments.write:
        print(paths.bootstrap)
        return
    argv = command(paths.bootstrap, workers=settings.gateway_workers, validate=arguments.validate)
    os.execv(argv[0], argv)  # noqa: S606 - the pid stays, and with it whoever watches over it


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="swiftlet_gateway", description="Run the gateway of the suite.")
    parser.add_argument(
        "--out", type=Path, help="folder for the configuration; $SWIFTLET_HOME/run/gateway if not given"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--write", action="store_true", help="write the configuration, print its path, run nothing"
    )
    only.add_argument(
        "--validate", action="store_true", help="let Envoy check the configuration, run nothing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
