"""What lives inside a running program: emitting typed events with causes, and the OpenTelemetry parts that archive them.

The law: nothing here raises into the application for trouble of its own. Drops are counted, said, and recorded.
"""
