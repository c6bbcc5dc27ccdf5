"""The wire format: OpenTelemetry objects to OTLP JSON lines, lines to events, and what events look like to trace viewers.

The law: pure. No clock, file, socket, thread or environment; OpenTelemetry's SDK is known here by shape only.
"""
