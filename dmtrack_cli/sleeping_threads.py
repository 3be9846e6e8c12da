"""How the threads of the network wait for each other: asleep, as other work needs the cores meanwhile."""

from __future__ import annotations

import os


def let_threads_sleep() -> None:
    """Have the threads of torch sleep while they wait, unless the environment says otherwise.

    To be called before torch is loaded. Spinning, they would take the cores from reading, drawing and other
    programs.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
