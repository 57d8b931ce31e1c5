#!/usr/bin/env python
"""Does accommodation see better? Methods, peers and people on labelled images, as one page of results.

The same as ``ciliary evaluate``: ``python scripts/evaluate.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("evaluate")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
