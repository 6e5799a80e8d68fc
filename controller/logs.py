"""Logging: one line a record, with the job's fields behind the message. As text for people or JSON for collectors."""

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "k8s_skip",
    "k8s_ref",
    "settings",
}
_NOISY = ("kopf", "asyncio", "kubernetes")
_UNWANTED = (
    # It is on a thread of its own on purpose, and warns at each start that it cannot take the signals there.
    ("kopf._core.reactor.running", "OS signals are ignored"),
    # Every try of a request, and every start in vain: `watching` and its trace tell each change once.
    ("kopf._cogs.clients.watching", "Request attempt"),
    ("kopf._core.reactor.observation", "Request attempt"),
    ("kopf._core.reactor.observation", "Unresolved resources cannot be served"),
    ("kopf._core.reactor.orchestration", " has failed: "),
    ("kopf._core.reactor.running", " has failed: "),
)
"""Lines of kopf that are dropped: the logger, and what they contain."""


def set_up(level: str = "info", log_format: str = "text") -> None:
    """Send all logs to stderr, in that format. Called once, by the command line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)
    drop_unwanted()
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # in no line of ours


def drop_unwanted() -> None:
    """Have what kopf says of every try left out, whatever the level is."""
    for name, text in _UNWANTED:
        logging.getLogger(name).addFilter(_Without(text))


class _Without(logging.Filter):
    """Drops the lines that contain that text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def filter(self, record: logging.LogRecord) -> bool:
        return self._text not in record.getMessage()


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and value not in ("", None)}


class TextFormatter(logging.Formatter):
    """``12:00:00.000 INFO    submitted job=default/a tenant=t``; a traceback's lines behind it, indented."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{name}={_one_word(value)}" for name, value in _fields(record).items())
        line = f"{when} {record.levelname:<7} {record.getMessage()}" + (f"  {fields}" if fields else "")
        trace = self.formatException(record.exc_info).split("\n") if record.exc_info else ()
        lines = [line, *(f"  {one}" for one in trace)]
        return "\n".join(map(_printable, lines))


def _one_word(value: object) -> str:
    """In quotes where it could be taken for more than one field."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(one in text for one in ' ="') else text


def _printable(line: str) -> str:
    """The line with all that is no character to be seen escaped: messages quote what jobs are made of, and a line end
    there would begin a record that nobody wrote, an escape sequence would move the reader's cursor."""
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= _fields(record)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)
