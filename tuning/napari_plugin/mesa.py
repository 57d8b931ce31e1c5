"""Mesa's LLVM and Triton's: the second to come into a process ends it, and a viewer has brought the first."""

from __future__ import annotations

import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")  # of Linux, where Mesa is


def leave_triton_out(maps: Path = _MAPS) -> bool:
    """Where Mesa draws by LLVM, let torch believe that Triton is not installed; it is not used here.

    Triton 3.7 and later offers its own LLVM to the whole process, as tensorflow/tensorflow#124205 has found out, and
    imported after Mesa's (llvmpipe, radeonsi) it is a segmentation fault. Torch imports it where it is there.

    Args:
        maps: the libraries that are loaded.

    Returns:
        Whether it was left out.
    """
    if "triton" in sys.modules or not maps.is_file() or b"libLLVM" not in maps.read_bytes():
        return False
    sys.modules["triton"] = None  # type: ignore[assignment]  # Python's own way of saying that there is none
    return True
