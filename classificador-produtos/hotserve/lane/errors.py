"""What can go wrong with a lane."""

from __future__ import annotations


class LaneError(Exception):
    """A compiled file that this process can't answer from; one line says why."""


class Uncertain(Exception):
    """A text on which two classes are nearer than rounding errors are large.

    Its answer depends on how the model's own libraries round, so the model itself has to give it.
    """


class NotLinearText(Exception):
    """A model that the lane can't do; the message says what is in the way."""
