"""What texts in the file look like, for the schema and for `oatie_ops.config.plain`."""

from __future__ import annotations

import re

IMPORT_STRING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HTTP_PATH = re.compile(r"/\S*")
