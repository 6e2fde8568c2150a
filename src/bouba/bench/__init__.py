"""Measurements anyone can repeat: `bouba bench NAME`. One file a bench, each with a `command`."""
