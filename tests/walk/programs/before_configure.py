"""Uses every way to emit in a process that never calls configure and has no OpenTelemetry providers."""

import whence

first = whence.log("thing", {"n": 1})
with whence.because(first), whence.batch():
    whence.decision("price", 1, 2, agent="a1")
try:
    raise ValueError("planted")
except ValueError as fault:
    whence.error(fault)
assert whence.flush(1)
report = whence.shutdown(1)
print(f"{type(first).__name__} {report.stored}")
