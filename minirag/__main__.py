"""Row 9. `python -m minirag` is the command `minirag`."""

from minirag.cli.main import run

run()
