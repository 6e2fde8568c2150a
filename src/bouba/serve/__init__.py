"""The page and the API: runs in a browser, and for other programs."""
