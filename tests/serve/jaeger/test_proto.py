"""The descriptors are those of the .proto files. `python tests/serve/jaeger/test_proto.py` makes them anew."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from whence.serve.jaeger.proto import DESCRIPTORS, FILES, FOLDER, messages_of


def made(file: Path) -> bytes:
    """What protoc makes of the .proto files, with what they import."""
    protoc = pytest.importorskip("grpc_tools.protoc")
    well_known = Path(protoc.__file__).parent / "_proto"
    code = protoc.main(
        ["protoc", f"-I{FOLDER}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={file}", *FILES]
    )
    assert code == 0
    return file.read_bytes()


def test_the_descriptors_are_what_protoc_makes_of_the_files(tmp_path: Path) -> None:
    """Message by message; what Google's own files say may differ by the version of protoc."""
    new, kept = (
        {file.name: file for file in FileDescriptorSet.FromString(data).file}
        for data in (made(tmp_path / "new"), DESCRIPTORS.read_bytes())
    )
    assert {name: new[name] for name in FILES} == {name: kept[name] for name in FILES}
    assert set(new) == set(kept)


def test_the_descriptors_load_beside_those_of_another_copy() -> None:
    """A pool of their own: a program that also loads Jaeger's definitions is not in the way."""
    first, second = messages_of(DESCRIPTORS.read_bytes()), messages_of(DESCRIPTORS.read_bytes())
    name = "jaeger.storage.v2.GetServicesRequest"
    assert first[name] is not second[name]


if __name__ == "__main__":
    made(DESCRIPTORS)
