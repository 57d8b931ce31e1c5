#!/usr/bin/env python
"""Follow things over frames or glances: a figure, a film and a JSON of what is where; or a table of how well.

The same as ``ciliary track``: ``python scripts/track.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("track")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
