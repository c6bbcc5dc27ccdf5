"""The messages that Jaeger's gRPC interfaces speak: our own definitions, and the descriptors that are made of them.

The law: `descriptors.binpb` is what protoc makes of the `.proto` files, which a test holds true. The messages live in a pool of
their own, so that a program that also loads Jaeger's own definitions is not in the way. No generated code: descriptors fit
every version of protobuf.
"""

from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FOLDER: Final = Path(__file__).parent
FILES: Final = ("storage.proto", "health.proto")
DESCRIPTORS: Final = FOLDER / "descriptors.binpb"


def messages_of(descriptors: bytes) -> dict[str, Any]:
    """The classes of the messages in a FileDescriptorSet that holds all it imports, by their full names."""
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors).file
    for file in files:
        pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        for file in files
        for name in (f"{file.package}.{message.name}" for message in file.message_type)
    }


MESSAGES: Final = messages_of(DESCRIPTORS.read_bytes())
STORAGE: Final = {
    name.removeprefix("jaeger.storage.v2."): of
    for name, of in MESSAGES.items()
    if name.startswith("jaeger.storage.v2.")
}
"""The messages of Remote Storage by their short names."""
HealthCheckRequest: Final = MESSAGES["grpc.health.v1.HealthCheckRequest"]
HealthCheckResponse: Final = MESSAGES["grpc.health.v1.HealthCheckResponse"]
