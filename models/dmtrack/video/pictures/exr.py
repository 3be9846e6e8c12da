"""OpenEXR pictures of depth, as renderers write them: one channel of floats. Needs the library `OpenEXR`."""

from __future__ import annotations

import importlib
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError, library_needed, translated

EXR_MAGIC: Final = b"\x76\x2f\x31\x01"
_NAMES: Final = ("Z", "DEPTH", "D", "Y", "V", "R")
"""Channel names after the last point, depth first; R is grey if there is no G."""
_NOTHING: Final = 65_504.0  # the largest half float; renderers write it, or 10^10, where nothing is hit


def decode_exr(data: bytes, most_pixels: int) -> npt.NDArray[np.float32]:
    """Return the depth channel, `(H, W)` float32; NaN where nothing is hit.

    `ConfigError`: the library is missing; `FormatError`: the picture is damaged, claims more than
    `most_pixels` pixels, or has no such channel.
    """
    with library_needed("EXR pictures need the library OpenEXR", 'pip install "dmtrack[exr]"'):
        library: Any = importlib.import_module("OpenEXR")
    with translated(FormatError, "this is no whole EXR picture"):
        head = library.File(BytesIO(data), header_only=True, num_threads=1).header()
        low, high = head["dataWindow"]
        width, height = (int(end) - int(begin) + 1 for begin, end in zip(low, high, strict=True))
        if not 0 < width * height <= most_pixels:
            raise FormatError(f"it claims {width}x{height} pixels, more than so small a file can hold")
        with redirect_stdout(StringIO()):  # it prints about damaged files; `InputFile` crashes on them
            channels = library.File(BytesIO(data), separate_channels=True, num_threads=1).channels()
        name = _depth_channel(list(channels))
        stored = np.asarray(channels[name].pixels, np.float32)
        if stored.shape != (height, width):
            raise FormatError("its pixels cannot be read")
        return np.where(np.abs(stored) < _NOTHING, stored, np.float32(np.nan))


def _depth_channel(names: list[str]) -> str:
    by_end = {name.rpartition(".")[2].upper(): name for name in names}
    found = next((by_end[end] for end in _NAMES if end in by_end), None)
    if found is None or ("R" in by_end and "G" in by_end and found == by_end["R"]):
        raise FormatError(f"its channels are {', '.join(sorted(names)[:6])}, and none is depth (Z, Y, V)")
    return found
