"""How benchmarks turn frames into numbers: every choice that changes a number, named.

The benchmarks share their curves (distance of centres, overlap) and differ in everything around them. A
`Convention` says it all; the constants below are what the benchmarks' own scripts do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Truths(StrEnum):
    """Which ground truth counts of two: the main stream's, or the better of both in each frame."""

    MAIN = "main"
    BETTER = "better"


class InvalidTruth(StrEnum):
    """A row of ground truth that is no box (any value not positive).

    `penalised`: error and overlap are -1, a hit in precision and a miss in success. `skipped`: the frame is
    left out. `scored`: the formulas are applied to the row as it is.
    """

    PENALISED = "penalised"
    SKIPPED = "skipped"
    SCORED = "scored"


class InvalidResult(StrEnum):
    """A row of results that is no box: the row before stands for it, or it is a miss as it is."""

    REPEATED = "repeated"
    MISSED = "missed"


class ShortResult(StrEnum):
    """Results with fewer rows than the truth: frames that lack are misses, or the sequence ends there."""

    MISSED = "missed"
    CUT = "cut"


class Corners(StrEnum):
    """Result rows of eight numbers: their bounding box, or points 1, 2, 3 rounded to whole pixels."""

    BOUNDING = "bounding"
    ROUNDED = "rounded"


class Area(StrEnum):
    """The one number of a success curve: the mean of its points, or the area under straight lines."""

    MEAN = "mean"
    TRAPEZOID = "trapezoid"


@dataclass(frozen=True, slots=True)
class Convention:
    """Everything that a benchmark decides between boxes and its numbers.

    Attributes:
        truths: Which ground truth counts.
        pooled: All frames of all sequences weigh the same, rather than all sequences.
        given_first: Row 1 of the results is overwritten with the ground truth.
        invalid_truth: See there.
        invalid_result: See there.
        short_result: See there.
        corners: See there.
        remove_absent: Frames flagged absent count neither as hit nor as miss, but stay in the divisor.
        step: Every how many frames the ground truth has a row.
        precision_px: The error in pixels at which precision is quoted.
        strict_precision: An error must be below, not at most, the threshold.
        precision_thresholds: How many thresholds, from 0 evenly up to `precision_end_px`.
        precision_end_px: The last of them.
        normalised: Quote normalised precision (at 0.2) too.
        strict_success: An overlap must be above, not at least, the threshold.
        success_thresholds: How many thresholds, from 0 evenly up to 1.
        area: See there.
    """

    truths: Truths = Truths.MAIN
    pooled: bool = False
    given_first: bool = True
    invalid_truth: InvalidTruth = InvalidTruth.PENALISED
    invalid_result: InvalidResult = InvalidResult.REPEATED
    short_result: ShortResult = ShortResult.MISSED
    corners: Corners = Corners.BOUNDING
    remove_absent: bool = False
    step: int = 1
    precision_px: float = 20.0
    strict_precision: bool = False
    precision_thresholds: int = 51
    precision_end_px: float = 50.0
    normalised: bool = False
    strict_success: bool = True
    success_thresholds: int = 21
    area: Area = Area.MEAN

    @property
    def errors_px(self) -> Floats:
        """Thresholds of the precision curve."""
        return np.linspace(0.0, self.precision_end_px, self.precision_thresholds)

    @property
    def normalised_errors(self) -> Floats:
        """Thresholds of the normalised precision curve."""
        return np.linspace(0.0, 0.5, 51)

    @property
    def overlaps(self) -> Floats:
        """Thresholds of the success curve."""
        return np.linspace(0.0, 1.0, self.success_thresholds)


LASHER: Final = Convention(normalised=True)
"""LasHeR: PR, NPR and SR.

Source: Li et al., "LasHeR", TIP 2022, and its evaluation toolkit; inputs-and-metrics 5.
"""

RGBT234: Final = Convention(
    truths=Truths.BETTER,
    given_first=False,
    invalid_truth=InvalidTruth.SCORED,
    invalid_result=InvalidResult.MISSED,
    short_result=ShortResult.CUT,
    corners=Corners.ROUNDED,
)
"""RGBT234: MPR and MSR over two ground truths.

Source: Li et al., "RGB-T Object Tracking: Benchmark and Baseline", PR 2019; inputs-and-metrics 5.
"""

RGBT210: Final = RGBT234
"""RGBT210: as RGBT234; where it has one ground truth only, that one counts twice.

Source: Li et al., "Weighted Sparse Representation Regularized Graph Learning for RGB-T Object Tracking",
ACM MM 2017.
"""

GTOT: Final = Convention(
    truths=Truths.BETTER,
    pooled=True,
    given_first=False,
    invalid_truth=InvalidTruth.SCORED,
    invalid_result=InvalidResult.MISSED,
    short_result=ShortResult.CUT,
    corners=Corners.ROUNDED,
    precision_px=5.0,
    strict_precision=True,
    precision_end_px=25.0,
    success_thresholds=51,
    area=Area.TRAPEZOID,
)
"""GTOT: MPR at 5 px and MSR, all frames pooled.

Source: Li et al., "Learning Collaborative Sparse Representation for Grayscale-Thermal Tracking", TIP 2016;
inputs-and-metrics 5.
"""

VTUAV: Final = Convention(
    truths=Truths.BETTER,
    given_first=False,
    invalid_truth=InvalidTruth.SCORED,
    invalid_result=InvalidResult.MISSED,
    short_result=ShortResult.CUT,
    corners=Corners.ROUNDED,
    step=10,
)
"""VTUAV: MPR and MSR of every tenth frame.

Source: Zhang et al., "Visible-Thermal UAV Tracking", CVPR 2022, and `calcPlotErr_TPR.m`, `plot_ST.m` of its
toolkit (definitions).
"""

VISEVENT: Final = Convention(remove_absent=True)
"""VisEvent: PR and SR without the frames in which the target is absent.

Source: Wang et al., "VisEvent", IEEE Transactions on Cybernetics 2023, and its toolkit; inputs-and-metrics 5.
"""
