"""Collects what is found wrong, and puts each problem to where its value was set."""

from __future__ import annotations

from pathlib import Path

from oatie_ops.config.document import ENVIRONMENTS, Document
from oatie_ops.config.issues import Issue, Problem, dotted
from oatie_ops.config.layers import Origin, Source
from oatie_ops.config.spans import KeyPath


class Findings:
    def __init__(self, document: Document, root: Path) -> None:
        self.document = document
        self.issues = list(document.issues)
        self._root = root

    def in_document(self, problem: Problem, path: KeyPath) -> None:
        """``path`` is that of the document, which for an overlay is longer than the problem's own."""
        self.issues.append(self.document.issue(problem, path))

    def at(self, problem: Problem, origin: Origin) -> None:
        """Where the value was set, down to the element of a list."""
        if origin.source is Source.OVERLAY:
            self.in_document(problem, (ENVIRONMENTS, origin.name, *problem.path))
        elif origin.source is Source.FILE or (origin.source is Source.DEFAULT and self.document.shown):
            self.in_document(problem, problem.path)
        else:
            place = (origin.file, origin.line, origin.column)
            path, hint = dotted(problem.path), problem.hint
            issue = Issue(
                problem.severity, problem.code, path, problem.message, *place, hint, origin.describe()
            )
            self.issues.append(issue)

    def shown(self, path: Path) -> str:
        """A path as people would write it here."""
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)
