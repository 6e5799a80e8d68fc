"""Types that several threads read at their first use: msgspec crashes the process unless they were laid out before."""

import subprocess
import sys

import pytest

RACE = """
import sys, threading
sys.setswitchinterval(1e-6)
{preparation}
start = threading.Barrier(4)
def first_use():
    start.wait()
    {use}
threads = [threading.Thread(target=first_use) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
"""Nine of ten such processes end with a segmentation fault where the type is new to them."""

USES = {
    "a JennahJob, by kopf and by the reconciler": (
        "from controller.domain.job import parse",
        "parse({'metadata': {'name': 'n'}, 'spec': {'image': 'i'}, 'status': {'phase': 'Running'}})",
    ),
    "a reply of AWS": (
        "from controller.providers.aws import connection as c; from types import SimpleNamespace as N",
        "c._parse({'status_code': 200, 'body': b'{\"jobSummaryList\": []}'}, {}, N(name='ListJobs'))",
    ),
}


@pytest.mark.parametrize("what", USES)
def test_threads_may_need_a_type_first_at_the_same_moment(what: str) -> None:
    preparation, use = USES[what]
    script = RACE.format(preparation=preparation, use=use)
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
