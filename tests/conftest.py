"""What holds for every test."""

from __future__ import annotations

import resource
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Lift a limit on file sizes as soon as the test that set it is over.

    pytest writes the test's dot before it tears fixtures down; where its output is a file, that dot
    would meet the limit.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
