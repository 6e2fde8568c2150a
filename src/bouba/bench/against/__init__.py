"""Peers, a file each: on which data, with which settings, and by which number they and bouba are compared."""
