"""The lines of the log: whatever is in a message, a record is one line."""

import json
import logging
import sys

from controller.logs import JsonFormatter, TextFormatter

FORGED = "refused: no image 'x\n12:00:00.000 INFO    released\x1b[2K\u2028\x85'"


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("controller", logging.WARNING, __file__, 1, message, None, None)
    vars(made).update(fields)
    return made


def test_what_a_job_or_a_service_says_makes_no_line_of_its_own_and_moves_no_cursor() -> None:
    line = TextFormatter().format(record(FORGED, job="ns/a\nb"))
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert line.endswith(r"refused: no image 'x\n12:00:00.000 INFO    released\x1b[2K\u2028\x85'  job=ns/a\nb")


def test_what_can_be_read_is_left_as_it_is() -> None:
    assert (
        TextFormatter()
        .format(record("größer als 5 µs: 'C:\\a'", job="ns/ä"))
        .endswith("WARNING größer als 5 µs: 'C:\\a'  job=ns/ä")
    )


def test_a_field_cannot_be_taken_for_two() -> None:
    line = TextFormatter().format(record("audit", principal="oidc:me tenant=theirs", tenant="ours", code="a=b"))
    assert line.endswith('audit  principal="oidc:me tenant=theirs" tenant=ours code="a=b"')


def test_the_lines_of_a_traceback_cannot_be_taken_for_records() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        failed = logging.LogRecord("controller", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    first, *others = TextFormatter().format(failed).splitlines()
    assert first.endswith("failed")
    assert others[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") and line.isprintable() for line in others)


def test_json_has_the_text_as_it_is_in_one_line() -> None:
    line = JsonFormatter().format(record(FORGED))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == FORGED
