"""What is logged stays on its line, and no terminal obeys it, whatever clients have sent."""

from __future__ import annotations

import logging
import traceback
from typing import Final

LONGEST: Final = 4_000
"""Characters of a message; a path may have 64 KB."""
_ACCESS: Final = "uvicorn.access"
_LOGGERS: Final = ("vectorize_core.server", "uvicorn.error", _ACCESS)


class OneLine(logging.Filter):
    """Escapes what is not printable: line breaks, ESC, what turns the direction of a text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True; changes the record."""
        if record.name == _ACCESS and isinstance(record.args, tuple):
            # uvicorn's own formatter takes them apart.
            record.args = tuple(escaped(a) if isinstance(a, str) else a for a in record.args)
        else:
            record.msg, record.args = escaped(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = _explained(record.exc_info[1])
        # uvicorn's second form of a message.
        record.__dict__.pop("color_message", None)
        return True


def escape_logs() -> None:
    """Let the loggers of this server escape; safe to call again."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, OneLine) for each in logger.filters):
            logger.addFilter(OneLine())


def escaped(text: str) -> str:
    """``text`` with escapes for what is not printable, cut if it is very long."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}... ({len(text)} characters)"
    return "".join(each if each.isprintable() else _escape(ord(each)) for each in text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _explained(error: BaseException | None) -> str:
    """A traceback, each message in it on one line."""
    if error is None:
        return ""
    lines = []
    for part in traceback.TracebackException.from_exception(error).format():
        if part.startswith(("  File ", "Traceback ")):
            lines += [escaped(line) for line in part.rstrip("\n").split("\n")]
        else:
            lines.append(escaped(part.strip("\n")))
    return "\n".join(lines)
