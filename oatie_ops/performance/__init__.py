"""Where start-up time goes, what the machine does, and how many workers it should be.

The public names are imported when they are first used, as those of `oatie_ops` itself.
"""

from __future__ import annotations

from oatie_ops.lazy import lazily

# public name -> the module that defines it
_LAZY = {
    "ResourceMonitor": "oatie_ops.performance.monitor",
    "ScalingEngine": "oatie_ops.scaling.engine",
    "StartupOptimizer": "oatie_ops.performance.optimizer",
    "resource_monitor": "oatie_ops.performance.monitor",
    "startup_optimizer": "oatie_ops.performance.optimizer",
    "scaling_engine": "oatie_ops.scaling.engine",
}

__getattr__, __dir__ = lazily(globals(), _LAZY)
