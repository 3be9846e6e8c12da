"""How many threads the codecs of a video get: enough to use the cores, but no more than is worthwhile.

Measured on two cores: milliseconds a picture, of processor time and by the wall clock. Ranges are runs with
and without other work beside them. The whole of `VideoWriter`, for 1280x480 pictures:

| encoder threads | processor | wall | file |
| --- | ---: | ---: | ---: |
| 1 | 5.8 | 7.2 | 100 kB |
| 2, slices of a picture | 5.8-5.9 | 6.1-11.2 | 105 kB |
| libx264's own number (3), slices: PyAV's default | 6.1 | 6.1-10.2 | 105 kB |
| 2, pictures | 5.8 | 4.7-7.3 | 100 kB |
| libx264's own number (3), pictures | 5.8-6.0 | 6.0-7.3 | 100 kB |

| decoder threads | 640x480, processor | 1920x1080, processor |
| --- | ---: | ---: |
| 1 | 0.14 | 9.1 |
| 2 | 0.20 | 9.5 |
| libav's own number | 0.19 | 9.5 |

Threads with a picture each cost no processor time, and need no slices, which would make the file larger. On
one core a second decoder thread only costs (0.21 against 0.14). On two, reading and processing a pair of
streams takes the same processor time with one decoder thread or two (1.3), and less wall-clock time with two
(1.5 against 1.7).
"""

from __future__ import annotations

import os
from typing import Final

MOST_DECODER_THREADS: Final = 2
MOST_ENCODER_THREADS: Final = 4


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def decoder_threads() -> int:
    """Return how many threads decode one stream in software."""
    return min(usable_cores(), MOST_DECODER_THREADS)


def encoder_threads() -> int:
    """Return how many threads encode one video in software, a picture each."""
    return min(usable_cores(), MOST_ENCODER_THREADS)
