"""The classes behind the library's ready-made objects, for those who want one of their own."""

from __future__ import annotations

import pytest

from oatie_ops import error_recovery, performance


@pytest.mark.parametrize(
    ("module", "ready_made", "kind"),
    [
        (performance, "startup_optimizer", "StartupOptimizer"),
        (performance, "resource_monitor", "ResourceMonitor"),
        (performance, "scaling_engine", "ScalingEngine"),
        (error_recovery, "error_recovery_manager", "ErrorRecoveryManager"),
        (error_recovery, "degradation_manager", "DegradationManager"),
    ],
)
def test_the_class_stands_beside_its_object(module: object, ready_made: str, kind: str) -> None:
    assert type(getattr(module, ready_made)) is getattr(module, kind)
