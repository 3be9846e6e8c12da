"""The real recordings handed to the project; tests that use them skip where those are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real recordings (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def val_sequences(shared_data) -> dict[str, Sequence]:
    """Every annotated target of `val` by name."""
    return {s.name: s for s in find_sequences(shared_data / "val")}
