"""`OnnxNetwork`: a network run by ONNX Runtime, from the two files that `onnx_export` writes.

Needs `onnxruntime` (extra `onnx`); torch only carries tensors between it and the tracker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import torch
from torch import Tensor

from dmtrack.config import ModelConfig
from dmtrack.errors import CheckpointError, ConfigError
from dmtrack.network.head import HeadOutput
from dmtrack.network.inference import Network

#: What ONNX Runtime computes in.
OnnxPrecision = Literal["fp32", "int8"]
#: The entry of a file's metadata that says what network it is, as JSON.
METADATA_KEY: Final = "dmtrack"
_STEP_SUFFIX: Final = ".onnx"


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """Where the two halves of an exported network are.

    Attributes:
        step: Template tokens and search crops to maps.
        template: Template crops and boxes to tokens.
    """

    step: Path
    template: Path

    @classmethod
    def at(cls, step: Path) -> Self:
        """Return the pair whose step is at `step`: `NAME.onnx` and `NAME.template.onnx`."""
        return cls(step, step.with_name(step.name.removesuffix(_STEP_SUFFIX) + ".template" + _STEP_SUFFIX))


class OnnxNetwork:
    """See `dmtrack.network.inference.Network`.

    Args:
        step: Session of the step.
        template: Session of the template embedding.
        config: Shapes.
        streams: How many streams it takes.

    Attributes:
        alone: Makes what is asked instead for one stream, where this one takes two; None refuses that.
    """

    def __init__(self, step: Any, template: Any, config: ModelConfig, streams: int) -> None:  # noqa: ANN401
        self._step, self._template = step, template
        self.config, self.streams = config, streams
        self.device = torch.device("cpu")
        self._other: Network | None = None
        self.alone: Callable[[], Network] | None = None

    @classmethod
    def load(cls, step: Path, *, threads: int | None = None) -> OnnxNetwork:
        """Open an exported network.

        Args:
            step: The file of the step; that of the templates is beside it.
            threads: As many as torch uses when None.

        Raises:
            CheckpointError: A file is missing, damaged, or not written by `export-model`.
            ConfigError: ONNX Runtime is not installed.
        """
        files = OnnxFiles.at(step)
        count = threads or torch.get_num_threads()
        opened, template = _session(files.step, count), _session(files.template, count)
        said = opened.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if said is None:
            raise CheckpointError("is an ONNX file, but not one of dmtrack's", where=step)
        values = json.loads(said)
        return cls(opened, template, ModelConfig.from_dict(values["config"]), values["streams"])

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`.

        Raises:
            ValueError: The boxes are missing, and the network needs them.
        """
        if crops.shape[3] // 3 < self.streams:
            return self._instead().embed_template(crops, boxes)
        feed = {"crops": crops.numpy()}
        if self.config.template_prompt:
            if boxes is None:
                raise ValueError("this network needs the box in each template")
            feed["boxes"] = boxes.float().numpy()
        (tokens,) = self._template.run(None, feed)
        return torch.from_numpy(tokens)

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """See `Network`.

        Raises:
            ConfigError: One stream is shown, and only two can be run.
            ValueError: Two streams are shown, and the network takes one.
        """
        if memory.shape[0] > self.streams:
            raise ValueError("two streams need a network with adapters")
        if memory.shape[0] < self.streams:
            return self._instead().step(memory, crops)
        maps = self._step.run(None, {"memory": memory.numpy(), "search": crops.numpy()})
        return HeadOutput(*(torch.from_numpy(one) for one in maps))

    def _instead(self) -> Network:
        if self.alone is None:
            raise ConfigError("this ONNX network was exported for two streams, but there is one")
        if self._other is None:
            self._other = self.alone()
        return self._other


def onnxruntime_module() -> Any:  # noqa: ANN401 (onnxruntime has no types)
    """Import ONNX Runtime.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError("ONNX Runtime is not installed", hint="pip install 'dmtrack[onnx]'") from None
    return onnxruntime


def _session(path: Path, threads: int) -> Any:  # noqa: ANN401
    onnxruntime = onnxruntime_module()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    if not path.is_file():
        raise CheckpointError("there is no such file", where=path, hint="dmtrack export-model writes both")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented) as error:
        raise CheckpointError(f"cannot be run by ONNX Runtime ({error})", where=path) from None
