#!/usr/bin/env python
"""What moves in a sequence, where to and how fast, and whether it draws the eye: a figure; or the exam: a table.

The same as ``ciliary motion``: ``python scripts/motion.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("motion")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
