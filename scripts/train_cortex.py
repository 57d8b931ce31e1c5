#!/usr/bin/env python
"""Train the learned parts of the cortex, from newborn to adult, on any folder of photographs. No labels.

The same as ``ciliary train cortex``: ``python scripts/train_cortex.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("train cortex")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
