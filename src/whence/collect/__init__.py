"""The collector: receives OTLP, processes it, archives it durably and sends it on, configured in the OTel Collector's YAML.

The law: a request is acknowledged when every exporter of every pipeline it enters has taken responsibility, never earlier.
A batch stays the bytes it came in until a component must look inside.
"""
