"""Queues and pools are found by what a job asks for, however it is spelt."""

import pytest

from controller.domain.errors import Permanent
from controller.domain.job import Gpu, JobSpec, Resources
from controller.providers.choices import chosen

PLACES = {
    "Standard_F8s_v2": "f8",
    "Standard_F8s_v2+spot": "f8-spot",
    "nvidia-tesla-t4": "t4",
    "nvidia-tesla-t4+spot": "t4-spot",
    "a100": "a100",
    "spot": "spot",
}


def choose(
    machine_type: str | None = None, gpu: str | None = None, *, spot: bool = False, **more: object
) -> str | None:
    resources = Resources(gpu=Gpu(count=1, type=gpu or None)) if gpu is not None else None
    spec = JobSpec(image="i", machine_type=machine_type, resources=resources, spot=spot or None)
    return chosen(spec, PLACES, variable="PLACES", instead="place", **more)


@pytest.mark.parametrize(
    ("machine_type", "gpu", "spot", "place"),
    [
        ("Standard_F8s_v2", None, False, "f8"),
        ("standard_f8s_V2", None, False, "f8"),
        ("standard_f8s_v2", "t4", True, "f8-spot"),
        (None, "t4", False, "t4"),
        (None, "T4", True, "t4-spot"),
        (None, "NVIDIA Tesla T4", False, "t4"),
        (None, "nvidia-a100", False, "a100"),
        (None, None, True, "spot"),
        (None, None, False, None),
    ],
)
def test_the_place_of_what_is_asked_for(
    machine_type: str | None, gpu: str | None, spot: bool, place: str | None
) -> None:
    assert choose(machine_type, gpu, spot=spot) == place


@pytest.mark.parametrize(
    ("machine_type", "gpu", "spot", "words"),
    [
        ("m5.large", None, False, "spec.machineType: PLACES has none for 'm5.large': it has Standard_F8s_v2, "),
        ("m5.large", None, True, "spec.machineType with spec.spot: PLACES has none for 'm5.large+spot'"),
        (None, "v100", False, "spec.resources.gpu.type: PLACES has none for 'v100'"),
        (None, "", False, "spec.resources.gpu: PLACES has none for 'gpu'"),
        (None, "a100", True, "spec.resources.gpu.type with spec.spot: PLACES has none for 'a100+spot'"),
    ],
)
def test_what_has_no_place_is_refused_with_those_that_there_are(
    machine_type: str | None, gpu: str | None, spot: bool, words: str
) -> None:
    with pytest.raises(Permanent) as refused:
        choose(machine_type, gpu, spot=spot)
    assert str(refused.value).startswith(words)
    assert str(refused.value).endswith("spot; ask for one of these, or set place")


def test_what_may_lack_a_place_goes_to_the_default() -> None:
    assert choose(gpu="", may_lack=("gpu",)) is None
