"""What holds for every test."""

from __future__ import annotations

import logging
import resource
from collections.abc import Generator, Iterator

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


@pytest.fixture(autouse=True)
def quiet_logger() -> Iterator[None]:
    """Leave the library's logger as it was: the program sets it up, and other tests listen to it."""
    logger, sinks = logging.getLogger("dmtrack"), logging.getLogger("dmtrack.output.sink")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    sinks_level = sinks.level
    yield
    sinks.setLevel(sinks_level)
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate
