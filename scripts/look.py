#!/usr/bin/env python
"""See what each stage of the cortex makes of photographs: one page an image, from the retina to recognition.

The same as ``ciliary look``: ``python scripts/look.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("look")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
