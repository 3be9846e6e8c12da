"""The short name of the writer of small videos, which several tests here use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def make_video(video_of_pictures) -> Callable[..., Path]:
    return video_of_pictures
