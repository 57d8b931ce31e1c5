#!/usr/bin/env python
"""Train a policy: what to set the cortex to, from what it sees, learned beforehand on many photographs without labels.

The same as ``ciliary train policy``: ``python scripts/train_policy.py --help``.
"""

import sys

from ciliary.tuning.cli.app import door

main = door("train policy")

if __name__ == "__main__":
    sys.exit(main(owns_process=True))
