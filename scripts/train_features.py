#!/usr/bin/env python
"""Fit what the channels of a backbone are reduced to, so that ``--features NAME`` can use any model of timm's.

The same as ``ciliary train features``: ``python scripts/train_features.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("train features")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
