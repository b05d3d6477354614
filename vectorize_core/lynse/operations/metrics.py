"""When a server was started."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from vectorize_core.errors import UnexpectedAnswerError
from vectorize_core.lynse.operations.base import Get
from vectorize_core.lynse.wire import Form

_STARTED: Final = re.compile(rb"^lynsedb_server_start_time_seconds (\d{1,15})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StartTime(Get[int]):
    """The second in which a server was started, since the epoch."""

    path: ClassVar[str] = "/metrics"
    form: ClassVar[Form] = "bytes"

    def read(self, result: Any) -> int:
        found = _STARTED.search(result)
        if found is None:
            raise UnexpectedAnswerError("the metrics hold no start time")
        return int(found[1])
