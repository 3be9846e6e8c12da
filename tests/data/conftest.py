"""The real recordings handed to the project; tests that use them skip where those are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtrack.datasets.event_archive import with_event_pictures
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
def val_sequences(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sequence]:
    """Every annotated target of `val` by name, with event archives drawn as pictures."""
    pictures = tmp_path_factory.mktemp("event_pictures")
    found = find_sequences(shared_data / "val")
    return {s.name: with_event_pictures(s, pictures / s.name) for s in found}
