"""Oatie Ops: deploy, supervise, check and recover a web service. The library's one public face."""

from __future__ import annotations

from oatie_ops._version import __version__

__all__ = ["__version__"]
