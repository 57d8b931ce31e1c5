"""Mesa's LLVM and Triton's: the second to come into a process ends it, and a viewer has brought the first."""

from __future__ import annotations

import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")  # of Linux, where Mesa is


def leave_triton_out(maps: Path = _MAPS) -> bool:
    """Where Mesa draws by LLVM, let torch believe that Triton is not installed; it is not used here.

    Triton offers its LLVM's symbols to the whole process and takes those that are there already: imported after
    Mesa's (tried: Triton 3.8 after LLVM 15 of Mesa 22.3, llvmpipe) it is a segmentation fault. Torch imports it where
    it is installed.

    Args:
        maps: the libraries that are loaded.

    Returns:
        Whether it was left out.
    """
    if "triton" in sys.modules or not maps.is_file() or b"libLLVM" not in maps.read_bytes():
        return False
    sys.modules["triton"] = None  # type: ignore[assignment]  # Python's own way of saying that there is none
    return True
