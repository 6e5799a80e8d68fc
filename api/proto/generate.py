"""Generate the Python messages from ``deployment.proto``: ``python -m api.proto.generate``.

Needs grpcio-tools, which brings protoc; only developers do.
"""

import sys
import tempfile
from pathlib import Path

PROTO_ROOT = Path(__file__).parent
PROTO_FILE = "jennah/v1/deployment.proto"
GENERATED = Path(__file__).parent.parent / "gen"
NAMES = ("deployment_pb2.py", "deployment_pb2.pyi")
HEADERS = {"deployment_pb2.pyi": '# mypy: disable-error-code="type-arg"\n'}
"""protoc writes bare Mappings, which strict mypy does not take."""


def generate(target: Path) -> None:
    """Write the generated modules into that folder. Raises RuntimeError where protoc refuses the source."""
    # The developers' tool: not installed with the release.
    from grpc_tools import protoc  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["protoc", f"-I{PROTO_ROOT}", f"--python_out={folder}", f"--pyi_out={folder}", PROTO_FILE]
        if protoc.main(arguments) != 0:
            raise RuntimeError(f"protoc refused {PROTO_FILE}")
        for name in NAMES:
            text = (Path(folder) / "jennah" / "v1" / name).read_text()
            (target / name).write_text(HEADERS.get(name, "") + text)


if __name__ == "__main__":
    generate(GENERATED)
    sys.stdout.write(f"wrote {', '.join(NAMES)} to {GENERATED}\n")
