"""The fast lane: linear text classifiers answered from plain arrays, without scikit-learn.

`compile` runs once for each version, in the model's own environment, and writes a file of
arrays; `Lane` maps that file and answers. What the lane can do, and how its answers stay those of
scikit-learn, is in docs/fast-lane.md.

Only `compile` and what it alone uses (`extract`, `arrays`) need scikit-learn; `batch_scorer` needs
numpy, and is used for large batches where there is one; the rest needs the standard library.
"""

from hotserve.lane.errors import LaneError, Uncertain
from hotserve.lane.lane import Lane

__all__ = ["Lane", "LaneError", "Uncertain"]
