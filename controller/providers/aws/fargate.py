"""The sizes that Fargate has (providers.md §2d): a few numbers of CPUs, each with its own range of memory."""

SIZES: tuple[tuple[int, tuple[int, ...]], ...] = (
    (250, (512, 1024, 2048)),
    (500, tuple(range(1024, 4096 + 1, 1024))),
    (1000, tuple(range(2048, 8192 + 1, 1024))),
    (2000, tuple(range(4096, 16384 + 1, 1024))),
    (4000, tuple(range(8192, 30720 + 1, 1024))),
    (8000, tuple(range(16384, 61440 + 1, 4096))),
    (16000, tuple(range(32768, 122880 + 1, 8192))),
    (32000, (61440, 122880, 249856)),
)
"""CPU in thousandths, and the memories in MiB that go with it; both ascending."""

SMALLEST = (SIZES[0][0], SIZES[0][1][0])


def round_up(cpu_millis: int, memory_mib: int) -> tuple[int, int] | None:
    """The smallest size with at least that much of both: as few CPUs as possible first. None: there is none."""
    for cpu, memories in SIZES:
        if cpu >= cpu_millis:
            for memory in memories:
                if memory >= memory_mib:
                    return cpu, memory
    return None
