"""What tables of numbers are called in signatures."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
"""Levels, scores and times: float64, of the shape that the docstring says."""

Indices = npt.NDArray[np.intp]
"""Places in such an array."""
