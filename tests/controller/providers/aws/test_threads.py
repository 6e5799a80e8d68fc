"""The threads that boto3 is called in."""

import subprocess
import sys
import threading
import time

import pytest

from controller.providers.aws.threads import Threads


def test_no_more_run_at_once_than_allowed_and_what_is_cancelled_before_is_not_called() -> None:
    threads, release, called = Threads(2, "test"), threading.Event(), []

    def hold(number: int) -> int:
        called.append(number)
        release.wait(5)
        return number

    futures = [threads.run(lambda number=number: hold(number)) for number in range(4)]
    while len(called) < 2:
        time.sleep(0.01)
    assert futures[2].cancel()
    assert not futures[0].cancel()
    release.set()
    assert [futures[number].result(5) for number in (0, 1, 3)] == [0, 1, 3]
    assert 2 not in called
    assert all(future.done() for future in threads.close())


def test_an_error_is_the_callers() -> None:
    threads = Threads(1, "test")
    with pytest.raises(ZeroDivisionError):
        threads.run(lambda: 1 / 0).result(5)
    assert threads.run(lambda: 1).result(5) == 1
    threads.close()


def test_the_process_ends_without_its_threads() -> None:
    code = (
        "import time; from controller.providers.aws.threads import Threads; "
        "threads = Threads(1, 'test'); threads.run(lambda: time.sleep(60)); time.sleep(0.2); "
        "assert len(threads.close()) == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
