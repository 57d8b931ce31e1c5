#!/usr/bin/env python
"""Accommodate the cortex to photographs, and show what it gained.

The same as ``ciliary accommodate``: ``python scripts/accommodate.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("accommodate")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
