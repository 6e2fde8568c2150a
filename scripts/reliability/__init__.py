"""What bouba survives: experiments of many seeded trials. `python -m scripts.reliability`, or `make reliability`.

An experiment is one file with a function `trial(seed, folder) -> str | None`: None where it went well, else what went
wrong. Trials run in workers (supervise.py) under a clock and a memory limit: one that hangs or crashes has failed.
`python -m scripts.reliability kills --seed 17` repeats one.
"""
