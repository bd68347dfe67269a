"""Chaos for a suite: clients that never give up, and somebody who kills and freezes what runs.

Everything random comes from seeded generators, one for each client and one for the faults, so a seed gives
the same requests and the same faults in the same order; their timing is that of the machine.
"""
