"""python -m bouba: the command line."""

from bouba.cli import main

if __name__ == "__main__":
    main()
