"""Every number of drawing samples from sequences, with its source."""

from __future__ import annotations

from dataclasses import dataclass

from dmtrack.errors import ConfigError
from dmtrack.video.frame import Modality


@dataclass(frozen=True, slots=True)
class SequenceConfig:
    """How samples are drawn from sequences. The defaults are the published ones (specification 3.1, 4).

    Attributes:
        template_size: Side of a template in px. Published: 128.
        search_size: Side of the search crop in px. Published: 256.
        templates: Templates T a sample. Published: 3; 2 for depth.
        modality: Second stream of the pairs; None for one stream of three channels.
        template_factor: Template side over `sqrt(w h)`.
        search_factor: Search side over `sqrt(w h)` of the jittered box.
        least_frames: A sequence with fewer frames is not used. Nor is one with 2 (T + 1) visible frames
            or fewer.
        window: See `choose_causal`.
        window_growth: See `choose_causal`.
        scale_jitter: See `jittered`; of the search box only.
        centre_jitter: See `jittered`; of the search box only.
        grey_share: Share of samples whose colour stream is turned grey (it really is, see `greyed`).
        flip_share: Share of samples flipped left to right. Published: once jointly, then each crop again
            on its own, which would undo it; ours flips jointly only (specification 8).
        brightness: Each crop is multiplied by a factor in `1 - brightness .. 1 + brightness`.
        aux_alone_share: One stream: share of the samples of a two-stream sequence that show its second
            stream, so that a foundation knows how that looks. Ours.
    """

    template_size: int = 128
    search_size: int = 256
    templates: int = 3
    modality: Modality | None = None
    template_factor: float = 2.0
    search_factor: float = 4.0
    least_frames: int = 20
    window: int = 200
    window_growth: int = 5
    scale_jitter: float = 0.25
    centre_jitter: float = 3.0
    grey_share: float = 0.05
    flip_share: float = 0.5
    brightness: float = 0.2
    aux_alone_share: float = 0.2

    def __post_init__(self) -> None:
        if self.templates < 1:
            raise ConfigError(f"a sample needs at least one template, not {self.templates}")
        if min(self.window - 1, self.window_growth) < 1:
            raise ConfigError(f"window={self.window} or window_growth={self.window_growth} is too small")
        for name in ("grey_share", "flip_share", "brightness", "aux_alone_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)} is not in [0, 1]")
