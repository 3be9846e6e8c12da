"""`TracedNetwork`: the step of a network on a CPU as one TorchScript program for each shape.

Called from Python, a step is several hundred calls, each of which takes Python's lock: time of its own, and
time that it waits while other threads decode and draw. The program runs all of them without Python (a step of
`tiny` takes 0.86 of the time on one core; two at once in two threads 0.73).

TorchScript is an old part of PyTorch that gets no new features. Nothing here needs any, no compiler has to be
there when it runs, and without it every step runs as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from dmtrack.network.head import HeadOutput
from dmtrack.network.recordings import MOST_SHAPES, Recordings

if TYPE_CHECKING:
    from dmtrack.network.packed import PackedNetwork

#: Steps of a shape before it is worth a program.
AFTER: Final = 24
#: Largest difference of a map between the program and the step that it was made from.
_SAME = 1e-3

_Program = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


class TracedNetwork:
    """A packed network whose step becomes a program for each shape that comes often.

    Args:
        network: On a CPU.
        most_shapes: Programs kept, at least 1.
        after: Steps of a shape that run as they are first; making a program takes as long as some sixty
            calls from Python cost.
    """

    def __init__(self, network: PackedNetwork, *, most_shapes: int = MOST_SHAPES, after: int = AFTER) -> None:
        self.network = network
        self.config, self.streams, self.device = network.config, network.streams, network.device
        self._programs: Recordings[_Program] = Recordings("TorchScript program", most_shapes, after=after)

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        return self.network.embed_template(crops, boxes)

    @torch.inference_mode()
    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """See `Network`."""
        shape = (memory.shape, crops.shape)
        program = self._programs.get(shape, lambda: traced(self.network, memory, crops))
        if program is None:
            return self.network.step(memory, crops)
        return HeadOutput(*program(memory, crops))


def traced(network: PackedNetwork, memory: Tensor, crops: Tensor) -> _Program:
    """Return the step as a program for inputs of these shapes.

    Raises:
        RuntimeError: It cannot be traced, or gives something else.
    """
    trace: Any = getattr(getattr(torch, "jit", None), "trace", None)
    if trace is None:
        raise RuntimeError("this PyTorch has no TorchScript")
    with warnings.catch_warnings():
        # That shapes become constants is what is wanted; that TorchScript is old is known.
        warnings.simplefilter("ignore")
        program: Any = trace(_Maps(network), (memory, crops), check_trace=False)
        found = program(memory, crops)
    expected = [maps for maps in network.step(memory, crops) if maps is not None]
    apart = max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))
    if not apart < _SAME:
        raise RuntimeError(f"the maps differ by {apart:.1e}")
    return program  # type: ignore[no-any-return]


class _Maps(nn.Module):
    """The step with a plain tuple of maps: a trace knows no missing ones.

    A trace finds constants among the attributes of the module that is traced. Here all of the network's are
    those of one module: for 170 nested ones TorchScript takes half a second.
    """

    def __init__(self, network: PackedNetwork) -> None:
        super().__init__()
        self._step = network.step  # no module, so that it is not gone into
        for number, tensor in enumerate(network.buffers()):
            self.register_buffer(f"constant_{number}", tensor)
        for number, module in enumerate(network.modules()):
            for name, value in vars(module).items():
                if isinstance(value, torch.ScriptObject):
                    setattr(self, f"packed_{number}_{name}", value)

    def forward(self, memory: Tensor, crops: Tensor) -> tuple[Tensor, ...]:
        return tuple(maps for maps in self._step(memory, crops) if maps is not None)
