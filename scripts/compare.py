#!/usr/bin/env python
"""Which controller? Loss against evaluations and seconds, and covering against people, as one page.

The same as ``ciliary compare``: ``python scripts/compare.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("compare")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
