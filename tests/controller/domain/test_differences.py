"""The same difference has the same condition on every service, and each remark names all that differs."""

import pytest

from controller.domain import conditions, differences, reasons
from controller.domain.differences import Difference, condition_of, remarks
from controller.domain.support import Cell, Support, by_operator, honoured, not_honoured, per_attempt, refused, rounded


@pytest.mark.parametrize(
    ("field", "condition"),
    [
        ("resources.cpu", conditions.RESOURCES_EXACT),
        ("resources.gpu.type", conditions.RESOURCES_EXACT),
        ("resources.sharedMemory", conditions.RESOURCES_EXACT),
        ("machineType", conditions.RESOURCES_EXACT),
        ("bootDiskGiB", conditions.RESOURCES_EXACT),
        ("activeDeadlineSeconds", conditions.DEADLINE_EXACT),
        ("backoffLimit", conditions.RETRIES_EXACT),
        ("preemptionLimit", conditions.RETRIES_EXACT),
        ("parallelism", conditions.PARALLELISM_HONOURED),
        ("labels", conditions.SPEC_HONOURED),
        ("priority", conditions.SPEC_HONOURED),
        ("gcp.network", conditions.SPEC_HONOURED),
        ("pendingDeadlineSeconds", conditions.SPEC_HONOURED),
    ],
)
def test_the_condition_of_a_field(field: str, condition: str) -> None:
    assert condition_of(field) == condition


def test_differences_of_one_condition_share_a_remark() -> None:
    cpu = Difference(field="resources.cpu", reason=reasons.ROUNDED_UP, message="3 CPUs become 4")
    memory = Difference(field="resources.memory", reason=reasons.HELD_BACK, message="the agent keeps 600 MiB")
    deadline = Difference(field="activeDeadlineSeconds", reason=reasons.ROUNDED_UP, message="45 s become 60 s")
    assert [(one.condition, one.reason, one.message, one.status) for one in remarks([cpu, deadline, memory])] == [
        (conditions.DEADLINE_EXACT, reasons.ROUNDED_UP, "45 s become 60 s", False),
        (conditions.RESOURCES_EXACT, reasons.ROUNDED_UP, "3 CPUs become 4; the agent keeps 600 MiB", False),
    ]
    assert remarks([deadline, cpu]) == remarks([cpu, deadline]), "in whatever order an adapter finds them"
    assert remarks([]) == ()


def test_the_entrypoint_has_one_condition_with_two_sides() -> None:
    kept, lost = differences.entrypoint_kept("AWS Batch"), differences.entrypoint_lost("Azure Batch")
    assert kept.condition == lost.condition == conditions.ENTRYPOINT_REPLACED
    assert (kept.status, lost.status) == (False, True)
    assert kept.message.startswith("AWS Batch")
    assert "command" in lost.message


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (honoured(), "honoured"),
        (honoured("as tags"), "honoured: as tags"),
        (per_attempt(), "per attempt"),
        (rounded("activeDeadlineSeconds", "at least 60 s"), "rounded: at least 60 s (condition `DeadlineExact`)"),
        (not_honoured("spot"), "not honoured (condition `SpecHonoured`)"),
        (not_honoured("spot", "the pool decides", condition="ResourcesExact"),
         "not honoured: the pool decides (condition `ResourcesExact`)"),
        (refused("Fargate has none"), "refused: Fargate has none"),
        (by_operator(), "by the operator"),
    ],
)  # fmt: skip
def test_what_a_cell_says(cell: Cell, text: str) -> None:
    assert cell.text == text


def test_a_cell_that_tells_by_a_condition_has_the_one_of_its_field() -> None:
    assert rounded("resources.cpu", "to sizes").condition == conditions.RESOURCES_EXACT
    assert not_honoured("parallelism").condition == conditions.PARALLELISM_HONOURED
    assert [cell.condition for cell in (honoured(), refused("no"), by_operator(), per_attempt())] == [""] * 4
    assert len({kind.value for kind in Support}) == len(Support)
