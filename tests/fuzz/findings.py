"""Run one case, and keep what must not be: one line of JSON per kind of error."""

from __future__ import annotations

import base64
import json
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from .parsers import Parser, is_refusal


@dataclass
class Findings:
    """What one parser ended in that was no refusal."""

    name: str
    parser: Parser
    path: Path
    seen: set[str] = field(default_factory=set)

    def case(self, data: bytes) -> None:
        try:
            self.parser.read(data)
        except Exception as error:
            if not is_refusal(error):
                self._keep(error, data)

    def _keep(self, error: Exception, data: bytes) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {place.filename}:{place.lineno}"
        if kind in self.seen:
            return
        self.seen.add(kind)
        found = {"parser": self.name, "error": kind, "data": base64.b64encode(data).decode()}
        with self.path.open("a") as file:
            file.write(json.dumps(found) + "\n")
