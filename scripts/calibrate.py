#!/usr/bin/env python
"""Learn from labelled images how good a percept is, so that it can be told without labels afterwards.

The same as ``ciliary calibrate``: ``python scripts/calibrate.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("calibrate")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
