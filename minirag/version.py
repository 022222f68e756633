"""Row 1. Which minirag this is: `--version`, `run.json` and the package say the same."""

VERSION = "0.1.0"
