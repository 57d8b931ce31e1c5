"""What a program may do to the process it owns, and a library may not."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from contextlib import suppress

# Threads that wait by spinning fight with every other busy process of the machine: an episode of 3 s took 76 s. Those
# that sleep at once cost an idle machine a quarter. Some microseconds between: a percept in a population takes 15 ms on
# two idle cores (14 spinning, 19 sleeping) and 30 beside a busy process (170, 24).
PATIENT = {"GOMP_SPINCOUNT": "4000", "KMP_BLOCKTIME": "0"}
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h; the first may be at most half of an arena


def be_patient() -> None:
    """Let idle threads sleep soon. Works only before torch is imported; what the user has set stays."""
    if "OMP_WAIT_POLICY" in os.environ:
        return
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)


def flush_denormals() -> None:
    """Treat numbers below 1e-38 as zero, in this thread and those it starts from now on: some 12 % faster.

    Softmaxes and exponentials are full of such numbers, on which a processor is many times slower. Call it before the
    first work; it holds for the whole process, so only a program should.
    """
    import torch

    torch.set_flush_denormal(True)


def keep_memory() -> None:
    """Let the C library keep what is freed, and hand it out again: some 10 % faster.

    glibc maps every large block anew, and each of its pages is filled with zeros by the kernel when it is first
    touched: 400,000 of them in 300 percepts. What the process holds at most is as much as before. Nothing
    happens with another C library, or where ``MALLOC_TRIM_THRESHOLD_`` is set: that stays.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    with suppress(OSError, AttributeError, TypeError):  # another C library, another system
        mallopt = ctypes.CDLL(None).mallopt
        for what, value in ((_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, (1 << 31) - 1)):
            mallopt(what, value)


def use_threads(n_threads: int) -> None:
    """So many threads of computation, in this process."""
    import torch

    torch.set_num_threads(n_threads)


def be_worker(n_threads: int) -> None:
    """What a worker process begins with: Ctrl-C is its parent's matter, it ends with it, and it has so many threads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_threads(n_threads)
    flush_denormals()
    keep_memory()


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent() -> None:
    """No orphans at work when the parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
