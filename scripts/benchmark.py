#!/usr/bin/env python
"""Measure what a candidate setting costs (one image and its views through the whole cortex), per stage and size.

The same as ``ciliary benchmark``: ``python scripts/benchmark.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("benchmark")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
