"""One format of tables a file: `read(path) -> Table`. The endings stand in bouba/data/tables.py."""
