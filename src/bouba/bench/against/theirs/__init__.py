"""Functions that run in the environment of a peer: arrays in, arrays out. Only `run.py` is ever imported here."""
