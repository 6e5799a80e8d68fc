"""Which of the operator's queues or pools a job goes to by what it asks for, on services whose machines belong to
these. Pure.
"""

from collections.abc import Collection, Mapping

from controller.domain import machines
from controller.domain.job import JobSpec
from controller.providers.program import invalid

_SPOT = "spot"
_TOLD = 12


def chosen(
    spec: JobSpec, places: Mapping[str, str], *, variable: str, instead: str, may_lack: Collection[str] = ()
) -> str | None:
    """The place of the job's machine type, else of its GPUs' type, its GPUs, spot. None: it asks for none of these, or
    for one of `may_lack` that has no place.

    `places`: by machine type, GPU type, "gpu" and "spot", or one of these joined by "+" with spot. Letters may be small
    or capital, and a GPU's type may be short (t4 is nvidia-tesla-t4). `variable`: where the operator sets them;
    `instead`: the field that names a place itself. Raises Permanent(INVALID_SPEC) for what has no place.
    """
    gpu = spec.resources.gpu if spec.resources else None
    if spec.machine_type:
        field, key = "machineType", spec.machine_type
    elif gpu is not None:
        field, key = ("resources.gpu.type", gpu.type) if gpu.type else ("resources.gpu", "gpu")
    elif spec.spot:
        field, key = "spot", _SPOT
    else:
        return None
    if spec.spot and key != _SPOT:
        field, key = f"{field} with spec.spot", f"{key}+{_SPOT}"
    found = places.get(key) or next((places[one] for one in places if _plain(one) == _plain(key)), None)
    if found is None and key not in may_lack:
        known = sorted(places)
        told = ", ".join(known[:_TOLD]) + (", …" if len(known) > _TOLD else "") if known else "nothing"
        fault = f"{variable} has none for {key!r}: it has {told}; ask for one of these"
        raise invalid(field, f"{fault}, or set {instead}")
    return found


def _plain(key: str) -> str:
    base, plus, spot = key.partition("+")
    return f"{machines.plain_gpu_type(base)}{plus}{spot.lower()}"
