#!/usr/bin/env python
"""Where an eye would look in photographs, why, and what it would have seen: a figure and a JSON for each.

The same as ``ciliary gaze``: ``python scripts/gaze.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("gaze")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
