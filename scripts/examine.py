#!/usr/bin/env python
"""The cortex's final exams: naming from few examples, robustness to occlusion, energy; and contours.

The same as ``ciliary examine``: ``python scripts/examine.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("examine")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
