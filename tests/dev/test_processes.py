"""Children that fail are told of in their own words."""

import pytest

from dev.processes import LINES_TOLD, Child, ProcessFailed, output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("sh", "-c", "echo out; echo the reason >&2; exit 3"), "sh ended with 3: the reason"),
        (("sh", "-c", "echo the reason; exit 3"), "sh ended with 3: the reason"),
        (("sh", "-c", "exit 3"), "sh ended with 3: it said nothing"),
        (("/nonexistent/program",), "program cannot be started: .*No such file"),
    ],
)
def test_a_childs_own_words_stand_in_the_failure(command: tuple[str, ...], words: str) -> None:
    with pytest.raises(ProcessFailed, match=words):
        output(*command)


def test_a_child_that_takes_too_long_is_ended_and_its_words_are_told() -> None:
    with pytest.raises(ProcessFailed, match=r"sh took more than 0\.5 s: waiting"):
        output("sh", "-c", "echo waiting; exec sleep 60", timeout=0.5)


async def test_what_a_child_said_last_before_it_was_ready_stands_in_the_failure() -> None:
    script = "for number in range(100): print('line', number)\nraise SystemExit(7)"
    with pytest.raises(ProcessFailed) as failed:
        await Child.start("server", ["-c", script], env={}, on_line=lambda _: None, ready_text="ready:")
    said = str(failed.value).splitlines()
    assert said[0] == "server did not start (exit code 7):"
    assert said[1:] == [f"  line {number}" for number in range(100 - LINES_TOLD, 100)]
