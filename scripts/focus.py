#!/usr/bin/env python
"""Watch an eye focus: a figure, a film and a JSON of each scene; or examine its lens, its pupil and its optics.

The same as ``ciliary focus``: ``python scripts/focus.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("focus")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
