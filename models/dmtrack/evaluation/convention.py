"""How benchmarks turn frames into numbers: every choice that changes a number, named.

The benchmarks share their curves (distance of centres, overlap) and differ in everything around them. A
`Convention` says it all; the constants below are what the benchmarks' own scripts do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Corners = Literal["bounding", "rounded"]
"""Rows of eight numbers: their bounding box, or points 1, 2, 3 rounded to whole pixels."""
Area = Literal["mean", "trapezoid"]
"""The one number of a success curve: the mean of its points, or the area under straight lines."""


@dataclass(frozen=True, slots=True)
class Convention:
    """Everything that a benchmark decides between boxes and its numbers.

    Attributes:
        truths: Which ground truth counts of two: the main stream's, or the better of both in each frame.
        pooled: All frames of all sequences weigh the same, rather than all sequences.
        given_first: Row 1 of the results is overwritten with the ground truth.
        invalid_truth: A row of ground truth that is no box (any value not positive). `penalised`: error and
            overlap are -1, a hit in precision and a miss in success. `scored`: the formulas are applied to
            the row as it is.
        invalid_result: A row of results that is no box: the row before stands for it, or it is a miss.
        short_result: Results with fewer rows than the truth: frames that lack are misses, or the sequence
            ends there.
        corners: See there.
        remove_absent: Frames flagged absent count neither as hit nor as miss, but stay in the divisor.
        step: Every how many frames the ground truth has a row.
        precision_px: The error in pixels at which precision is quoted.
        strict_precision: An error must be below, not at most, the threshold.
        precision_end_px: The last of 51 thresholds of precision, from 0 on.
        normalised: Quote normalised precision (at 0.2) too.
        success_thresholds: How many thresholds of overlap (which must be above them), from 0 evenly up to 1.
        area: See there.
    """

    truths: Literal["main", "better"] = "main"
    pooled: bool = False
    given_first: bool = True
    invalid_truth: Literal["penalised", "scored"] = "penalised"
    invalid_result: Literal["repeated", "missed"] = "repeated"
    short_result: Literal["missed", "cut"] = "missed"
    corners: Corners = "bounding"
    remove_absent: bool = False
    step: int = 1
    precision_px: float = 20.0
    strict_precision: bool = False
    precision_end_px: float = 50.0
    normalised: bool = False
    success_thresholds: int = 21
    area: Area = "mean"

    @property
    def errors_px(self) -> Floats:
        """Thresholds of the precision curve."""
        return np.linspace(0.0, self.precision_end_px, 51)

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
    truths="better",
    given_first=False,
    invalid_truth="scored",
    invalid_result="missed",
    short_result="cut",
    corners="rounded",
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
    truths="better",
    pooled=True,
    given_first=False,
    invalid_truth="scored",
    invalid_result="missed",
    short_result="cut",
    corners="rounded",
    precision_px=5.0,
    strict_precision=True,
    precision_end_px=25.0,
    success_thresholds=51,
    area="trapezoid",
)
"""GTOT: MPR at 5 px and MSR, all frames pooled.

Source: Li et al., "Learning Collaborative Sparse Representation for Grayscale-Thermal Tracking", TIP 2016;
inputs-and-metrics 5.
"""

VTUAV: Final = replace(RGBT234, step=10)
"""VTUAV: MPR and MSR of every tenth frame.

Source: Zhang et al., "Visible-Thermal UAV Tracking", CVPR 2022, and `calcPlotErr_TPR.m`, `plot_ST.m` of its
toolkit (definitions).
"""

VISEVENT: Final = Convention(remove_absent=True)
"""VisEvent: PR and SR without the frames in which the target is absent.

Source: Wang et al., "VisEvent", IEEE Transactions on Cybernetics 2023, and its toolkit; inputs-and-metrics 5.
"""
