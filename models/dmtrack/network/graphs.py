"""`GraphedNetwork`: the step of a network recorded once for each shape, and replayed as one launch.

A step of one target is several hundred small kernels; a GPU runs them faster than Python can start them.
A CUDA graph starts all of them at once, but always on the same memory and shapes: so inputs are copied into
buffers of the graph's own, targets are rounded up to a bucket, and what comes out is copied before the next
replay overwrites it.

Source: PyTorch's notes on CUDA semantics, section CUDA graphs (side stream, warm-up, shared pool).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import torch
from torch import Tensor

from dmtrack.network.head import HeadOutput
from dmtrack.network.recordings import MOST_SHAPES, Recordings

if TYPE_CHECKING:
    from dmtrack.network.inference import Network

#: More targets run unrecorded: their kernels are long enough to hide their start.
MOST_TARGETS: Final = 64
#: Runs before recording, in which libraries choose their kernels and take their memory.
WARM_UP: Final = 3


class Recorder(Protocol):
    """Turns a function without arguments, whose tensors stay where they are, into one quick launch."""

    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Warm `run` up, record it, and return what replays it.

        The tensor that a replay returns is overwritten by the next replay, of whatever was recorded.

        Raises:
            RuntimeError: It cannot be recorded.
        """


class CudaRecorder:
    """Records CUDA graphs, which share one memory pool.

    Sharing is safe because graphs are replayed one after the other on one stream, read nothing that another
    left in the pool, and their results are copied at once.

    Args:
        device: A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @functools.cached_property
    def _stream(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    @functools.cached_property
    def _pool(self) -> Any:  # noqa: ANN401 (an opaque handle)
        return torch.cuda.graph_pool_handle()

    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Recorder`."""
        device, graph = self._device, torch.cuda.CUDAGraph()
        with torch.cuda.device(device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP):
                    run()
            torch.cuda.current_stream().wait_stream(self._stream)
            # "thread_local": another thread may use the device meanwhile.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                out = run()

        def replay() -> Tensor:
            with torch.cuda.device(device):
                graph.replay()
            return out

        return replay


def bucket(targets: int) -> int:
    """Return for how many targets a step of so many is recorded: 1, 2, 4, 8, then multiples of 4."""
    if targets > 8:
        return -(-targets // 4) * 4
    return 1 << (targets - 1).bit_length()


class _Shape(NamedTuple):
    """What a recording is made for."""

    memory: tuple[int, ...]
    crops: tuple[int, ...]

    @classmethod
    def of(cls, memory: Tensor, crops: Tensor) -> _Shape:
        """Return the shapes of `(S, B, T P, C)` and `(B, x, x, 3 S)` with B rounded up."""
        targets = bucket(memory.shape[1])
        return cls((memory.shape[0], targets, *memory.shape[2:]), (targets, *crops.shape[1:]))


class _Recording:
    """One recorded step with its buffers. Rows of no target hold what was there before: nothing reads them.

    Args:
        network: What is recorded.
        recorder: How.
        shape: Of the buffers.
        memory: Tokens like those that will come, for their type.
        crops: Crops likewise.
    """

    def __init__(
        self, network: Network, recorder: Recorder, shape: _Shape, memory: Tensor, crops: Tensor
    ) -> None:
        tokens, images = memory.new_zeros(shape.memory), crops.new_zeros(shape.crops)
        self._tokens, self._images = tokens, images
        self._channels = [1, 2, 2, 1] if network.config.quality_head else [1, 2, 2]
        self._fill(memory, crops)

        def run() -> Tensor:
            # One tensor, so that one copy saves all maps.
            return torch.cat([maps for maps in network.step(tokens, images) if maps is not None], dim=1)

        self._replay = recorder.record(run)

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """Replay on these inputs; the maps are the caller's to keep."""
        self._fill(memory, crops)
        maps = self._replay()[: memory.shape[1]].clone()
        return HeadOutput(*torch.split(maps, self._channels, dim=1))

    def _fill(self, memory: Tensor, crops: Tensor) -> None:
        self._tokens[:, : memory.shape[1]].copy_(memory, non_blocking=True)
        self._images[: crops.shape[0]].copy_(crops, non_blocking=True)


class GraphedNetwork:
    """A network whose step is recorded when a shape comes for the second time, and replayed from then on.

    Templates are embedded unrecorded: their tokens are kept.

    Args:
        network: On a device that `recorder` records, and free of what cannot be recorded.
        recorder: Records its step.
        most_targets: More than these run unrecorded.
        most_graphs: Shapes kept, at least 1.
    """

    def __init__(
        self,
        network: Network,
        recorder: Recorder,
        *,
        most_targets: int = MOST_TARGETS,
        most_graphs: int = MOST_SHAPES,
    ) -> None:
        self.network = network
        self.config, self.streams, self.device = network.config, network.streams, network.device
        self._recorder, self._most_targets = recorder, most_targets
        self._recordings: Recordings[_Recording] = Recordings("CUDA graph", most_graphs)

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        return self.network.embed_template(crops, boxes)

    @torch.inference_mode()
    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """See `Network`."""
        recording = self._recording(memory, crops)
        if recording is None:
            return self.network.step(memory, crops)
        return recording.step(memory, crops)

    def _recording(self, memory: Tensor, crops: Tensor) -> _Recording | None:
        """Return what to replay; None if this step is to run as it is."""
        if memory.shape[1] > self._most_targets:
            return None
        shape = _Shape.of(memory, crops)
        return self._recordings.get(
            shape, lambda: _Recording(self.network, self._recorder, shape, memory, crops)
        )
