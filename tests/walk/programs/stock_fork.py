"""No configure: OpenTelemetry's own batch processor in front of whence's exporter, in a parent that emits while it forks.

Usage: stock_fork.py ARCHIVE FORKS
"""

import faulthandler
import os
import sys
import threading

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from whence.record.exporters import WhenceLogRecordExporter

exporter = WhenceLogRecordExporter(archive=sys.argv[1])
provider = LoggerProvider(resource=Resource.create({"whence.run": "stock"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=20, max_export_batch_size=16))
logger = provider.get_logger("stock")
over = threading.Event()


def chatter() -> None:
    while not over.wait(0.0005):
        logger.emit(event_name="chatter")


threads = [threading.Thread(target=chatter) for _ in range(2)]
for thread in threads:
    thread.start()
for number in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)
        for step in range(5):
            logger.emit(event_name="child", attributes={"number": number, "step": step})
        done = provider.force_flush(30_000)
        os._exit(0 if done and exporter.status.refused == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
over.set()
for thread in threads:
    thread.join()
provider.shutdown()
