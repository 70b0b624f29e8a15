"""``oatie start --dev``: what changed in the checkout."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

IGNORED = {".git", ".oatie", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache"}
# Sources only: an application that writes into its own checkout must not reload itself for ever.
TEMPLATES = {".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako"}
WATCHED_SUFFIXES = frozenset({".py", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".env"} | TEMPLATES)
DEBOUNCE_MS = 100


async def changes(root: Path, state: Path) -> AsyncIterator[str]:
    """One changed path (relative to ``root``) per burst of changes."""
    from watchfiles import Change, awatch

    def wanted(_change: Change, path: str) -> bool:
        parts = Path(path).relative_to(root).parts if Path(path).is_relative_to(root) else ()
        ignored = IGNORED.intersection(parts) or Path(path).is_relative_to(state)
        source = Path(path).suffix in WATCHED_SUFFIXES or Path(path).name == ".env"
        return bool(parts) and source and not ignored

    async for burst in awatch(root, watch_filter=wanted, debounce=DEBOUNCE_MS, step=DEBOUNCE_MS // 2):
        yield str(Path(min(path for _change, path in burst)).relative_to(root))
