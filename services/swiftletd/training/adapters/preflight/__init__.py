"""What can be checked on this machine before a job waits in a queue, in milliseconds.

Reads are bounded: the first rows of a data set, the heads of weight files. A hub id is passed on
unverified; `paths` says how it is told from a path.
"""

from swiftletd.training.adapters.preflight.check import LocalPreflight
from swiftletd.training.adapters.preflight.inspect import inspect
from swiftletd.training.adapters.preflight.order import Facts, Order
from swiftletd.training.adapters.preflight.places import Places
from swiftletd.training.adapters.preflight.reading import Reader

__all__ = ["Facts", "LocalPreflight", "Order", "Places", "Reader", "inspect"]
