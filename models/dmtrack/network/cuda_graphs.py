"""`GraphedNetwork`: a network's step as a single launch, a CUDA graph.

Called from Python, a step is several hundred kernel launches, and a GPU runs the kernels faster than Python
can launch them. So a step is recorded for each shape that recurs, and replayed from then on.
"""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import torch
from torch import Tensor

from dmtrack.network.head import HeadOutput

if TYPE_CHECKING:
    from dmtrack.network.inference import Network

#: Most recorded shapes that are kept; the least recently used one goes first.
MOST_SHAPES: Final = 8
#: Steps with more targets are not recorded: their kernels are long enough to hide the launches.
MOST_TARGETS: Final = 64
#: Runs before a graph is recorded, in which libraries choose their kernels and allocate memory.
WARM_UP: Final = 3
_log = logging.getLogger(__name__)


class Recorder(Protocol):
    """Turns a function without arguments, whose tensors keep their addresses, into one fast launch."""

    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Warm `run` up, record it, and return a function that replays it.

        The tensor that a replay returns is overwritten by the next replay of any recording. `RuntimeError`:
        `run` cannot be recorded.
        """


class CudaRecorder:
    """Records CUDA graphs, which share one memory pool.

    Sharing is safe because graphs are replayed one after the other on one stream, none reads what another
    left in the pool, and their results are copied at once.
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
    """Return the batch size with which a step of `targets` is recorded: 1, 2, 4, 8, then multiples of 4."""
    if targets > 8:
        return -(-targets // 4) * 4
    return 1 << (targets - 1).bit_length()


class _Shape(NamedTuple):
    """The shapes that a recording is made for."""

    memory: tuple[int, ...]
    crops: tuple[int, ...]

    @classmethod
    def of(cls, memory: Tensor, crops: Tensor) -> _Shape:
        """Return the shapes of `(S, B, T P, C)` and `(B, x, x, 3 S)` with B rounded up."""
        targets = bucket(memory.shape[1])
        return cls((memory.shape[0], targets, *memory.shape[2:]), (targets, *crops.shape[1:]))


class _Recording:
    """One recorded step with its buffers; rows beyond the targets hold old data, which nothing reads.

    `shape` is that of the buffers; `memory` and `crops` are examples of the inputs, for their types.
    """

    def __init__(
        self, network: Network, recorder: Recorder, shape: _Shape, memory: Tensor, crops: Tensor
    ) -> None:
        tokens, images = memory.new_zeros(shape.memory), crops.new_zeros(shape.crops)
        self._tokens, self._images = tokens, images
        self._usual_share = network.config.aux_share
        shares = self._shares = tokens.new_zeros(shape.memory[1], dtype=torch.float32)
        self._channels = [1, 2, 2, 1] if network.config.quality_head else [1, 2, 2]
        self._fill(memory, crops, None)

        def run() -> Tensor:
            # One tensor, so that one copy saves all maps.
            found = network.step(tokens, images, shares)
            return torch.cat([maps for maps in found if maps is not None], dim=1)

        self._replay = recorder.record(run)

    def step(self, memory: Tensor, crops: Tensor, aux_share: Tensor | None = None) -> HeadOutput:
        """Replay the step on these inputs; the caller owns the returned maps."""
        self._fill(memory, crops, aux_share)
        maps = self._replay()[: memory.shape[1]].clone()
        return HeadOutput(*torch.split(maps, self._channels, dim=1))

    def _fill(self, memory: Tensor, crops: Tensor, aux_share: Tensor | None) -> None:
        self._tokens[:, : memory.shape[1]].copy_(memory, non_blocking=True)
        self._images[: crops.shape[0]].copy_(crops, non_blocking=True)
        if aux_share is None:
            self._shares.fill_(self._usual_share)
        else:
            self._shares[: len(aux_share)].copy_(aux_share, non_blocking=True)


class GraphedNetwork:
    """A network whose step is recorded when a shape comes for the second time, and replayed from then on.

    A CUDA graph always works on the same memory and shapes: so inputs are copied into buffers of its own, the
    number of targets is rounded up to a `bucket`, and outputs are copied before the next replay overwrites
    them. Templates are embedded unrecorded: their tokens are kept.

    Source: PyTorch's notes on CUDA semantics, section CUDA graphs (side stream, warm-up, shared pool).

    The network must be on the device of `recorder`, and free of operations that cannot be recorded. Steps
    with more than `most_targets` run unrecorded; the newest `most_graphs` shapes, at least 1, are kept.
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
        self._recorder, self._most_targets, self._most_graphs = recorder, most_targets, most_graphs
        self._works = True
        self._seen: set[_Shape] = set()
        self._kept: OrderedDict[_Shape, _Recording] = OrderedDict()

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        tokens: Tensor = self.network.embed_template(crops, boxes)
        return tokens

    @torch.inference_mode()
    def step(self, memory: Tensor, crops: Tensor, aux_share: Tensor | None = None) -> HeadOutput:
        """See `Network`."""
        recording = self._recording(memory, crops)
        found: HeadOutput = (recording or self.network).step(memory, crops, aux_share)
        return found

    def _recording(self, memory: Tensor, crops: Tensor) -> _Recording | None:
        """Return the recording for these inputs, made now if need be; None to run the step directly.

        Shapes that come only once, while a target's memory fills, are not worth recording. If recording
        fails, a warning says so once and nothing is recorded from then on.
        """
        if memory.shape[1] > self._most_targets or not self._works:
            return None
        shape = _Shape.of(memory, crops)
        if shape in self._kept:
            self._kept.move_to_end(shape)
            return self._kept[shape]
        if shape not in self._seen:
            self._seen.add(shape)
            return None
        try:
            recording = _Recording(self.network, self._recorder, shape, memory, crops)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            _log.warning("no CUDA graph could be recorded, the network runs without: %s", reason)
            self._works = False
            self._kept.clear()
            return None
        self._kept[shape] = recording
        if len(self._kept) > self._most_graphs:
            self._kept.popitem(last=False)
        return recording
