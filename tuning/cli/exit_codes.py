"""What a command tells the shell. One list for all jobs; the pages of ``--help`` quote :data:`IN_WORDS`."""

from __future__ import annotations

ALL_WELL = 0
NOTHING = 1  # nothing could be done
USAGE = 2
SOME_FAILED = 3  # some images failed, the rest is done
STOPPED = 130  # 128 + SIGINT, what a shell expects of a stopped command

IN_WORDS = """\
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 3 some images failed, the rest is done ·
              130 stopped by Ctrl-C or SIGTERM"""
