"""What a program may do to the process it owns, and a library may not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

# Threads that wait by spinning fight with every other busy process of the machine: an episode of 3 s took 76 s.
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}


def be_patient() -> None:
    """Let idle threads sleep. Works only before torch is imported; what the user has set stays."""
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)


def flush_denormals() -> None:
    """Treat numbers below 1e-38 as zero, in this thread and those it starts from now on: some 12 % faster.

    Softmaxes and exponentials are full of such numbers, on which a processor is many times slower. Call it before the
    first work; it holds for the whole process, so only a program should.
    """
    import torch

    torch.set_flush_denormal(True)


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


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent() -> None:
    """No orphans at work when the parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
