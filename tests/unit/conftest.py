"""What several tests here use: the short name of the writer of small videos, and a limit of file sizes."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def make_video(video_of_pictures: Callable[..., Path]) -> Callable[..., Path]:
    return video_of_pictures


@pytest.fixture
def limit_file_size() -> Iterator[Callable[[int], None]]:
    """Let files grow to so many bytes only: what a full disk does, without a disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
