"""The small detached process beside each child: it starts it, writes everything down, and ends it.

It outlives every service, so it stands alone: nothing of swiftletd outside this package, no gRPC, no
protobuf, no pydantic. Services use its reading side, `swiftletd.runner.rundir`.
"""
