"""The OpenTelemetry Transformation Language: statements and conditions of a configuration, compiled to closures over a record.

The law: pure; the clock is given. What this OTTL does not know is refused when the configuration is read, by name and place,
and never skipped. A statement that fails on a record raises Failure, and nothing else.
"""
