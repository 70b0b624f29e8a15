"""Where am I: a table of signals, evidence, confidence. Standard library only, no network unless asked."""

from __future__ import annotations

from oatie_ops.environment.detector import EnvironmentDetector, Explanation
from oatie_ops.environment.layers import Detection, EnvironmentType

__all__ = ["Detection", "EnvironmentDetector", "EnvironmentType", "Explanation"]
