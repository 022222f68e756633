"""`python -m minirag` is the program `minirag`."""

from minirag.cli.main import run

run()
