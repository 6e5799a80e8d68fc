"""The GPUs of a node by the label that NVIDIA's GPU feature discovery sets on it: pure data.

Users write a100 or nvidia-tesla-t4, as on the clouds; the label has the product's own name, and one type has several.
"""

from controller.domain import machines

LABEL = "nvidia.com/gpu.product"

_PRODUCTS: dict[str, tuple[str, ...]] = {
    "a10": ("NVIDIA-A10",),
    "a10g": ("NVIDIA-A10G",),
    "a100": (
        "NVIDIA-A100-SXM4-40GB",
        "NVIDIA-A100-SXM4-80GB",
        "NVIDIA-A100-PCIE-40GB",
        "NVIDIA-A100-80GB-PCIe",
        "A100-SXM4-40GB",
        "A100-SXM4-80GB",
        "A100-PCIE-40GB",
    ),
    "a100-80gb": ("NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-80GB-PCIe", "A100-SXM4-80GB"),
    "h100": ("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe", "NVIDIA-H100-NVL"),
    "h100-80gb": ("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe"),
    "h200": ("NVIDIA-H200",),
    "l4": ("NVIDIA-L4",),
    "l40s": ("NVIDIA-L40S",),
    "p4": ("Tesla-P4",),
    "p100": ("Tesla-P100-PCIE-16GB", "Tesla-P100-SXM2-16GB"),
    "t4": ("Tesla-T4",),
    "v100": ("Tesla-V100-SXM2-16GB", "Tesla-V100-SXM2-32GB", "Tesla-V100-PCIE-16GB", "Tesla-V100-PCIE-32GB"),
}


def named_by(gpu_type: str) -> tuple[str, ...]:
    """The values of `LABEL` that a short name stands for; () for any other name, such as a value itself."""
    if any(gpu_type in values for values in _PRODUCTS.values()):
        return ()
    return _PRODUCTS.get(machines.plain_gpu_type(gpu_type), ())
