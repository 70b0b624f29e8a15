"""Writes the scripts and man pages of a checkout: ``python -m oatie_ops.cli.completing completions``."""

from __future__ import annotations

import sys
from pathlib import Path

from oatie_ops.cli.completing.files import write

write(Path(sys.argv[1]))
