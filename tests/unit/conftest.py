"""What several tests here use: the short name of the writer of small videos, and a limit of file sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def make_video(video_of_pictures: Callable[..., Path]) -> Callable[..., Path]:
    return video_of_pictures
