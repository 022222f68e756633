"""Row 9. `python -m minirag` is the command `minirag`."""

import sys

from minirag.cli import main

sys.exit(main())
