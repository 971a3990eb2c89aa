"""gateway.log: one record a line, regardless of clients' input, and bounded while localcloud runs."""

from __future__ import annotations

import logging
import os
import re
from logging.handlers import RotatingFileHandler
from pathlib import Path

LARGEST_LOG = 16 * 1024 * 1024
"""Bytes. One older file is beside it: gateway.log.1."""
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Control characters, line separators, and characters that change the direction of text on a terminal.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_QUIET = ("azure", "httpx", "httpcore", "uvicorn.error", "asyncio")
_STANDARD_STREAMS = (1, 2)


class OneLineFormatter(logging.Formatter):
    """Writes a message in one line, and indents the lines of a trace: no line of a trace looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = escaped(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join(f"    {escaped(line)}" for line in text.split("\n"))


class OwnLog(RotatingFileHandler):
    """Takes the process's standard streams along when it begins a new file: warnings and crashes are written there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. The base class formats each of them twice, and looks three times at the file."""
        try:
            line = self.format(record) + self.terminator
            if self.stream is None:  # the last attempt to begin a new file failed
                self.stream = self._open()
            if os.fstat(self.stream.fileno()).st_size + len(line) >= self.maxBytes:
                self.doRollover()
            self.stream.write(line)
            self.flush()
        except Exception:
            self.handleError(record)

    def doRollover(self) -> None:
        super().doRollover()
        if self.stream is None:
            return
        for descriptor in _STANDARD_STREAMS:
            os.dup2(self.stream.fileno(), descriptor)


def configure(log: Path) -> None:
    """Log to `log` where it is standard error, as after `localcloud start`; else to standard error."""
    handler: logging.Handler = logging.StreamHandler()
    if _is_standard_error(log):
        handler = OwnLog(log, maxBytes=LARGEST_LOG, backupCount=1)
    handler.setFormatter(OneLineFormatter(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A line has neither thread nor process nor place in the code: nothing looks for them at each request.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def escaped(text: str) -> str:
    r"""Return text without control characters: a line feed is shown as \x0a."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _is_standard_error(log: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(2), log.stat())
    except OSError:
        return False
