// Sends COUNT spans, COUNT log records and one counter with the official JavaScript exporters; prints the ids of the spans.
// node send.mjs <http|proto|grpc> <endpoint> <none|gzip> <service.name> <count>
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [protocol, endpoint, compression, service, many] = process.argv.slice(2);
const count = Number(many);
const load = async (signal, name) => (await import(`@opentelemetry/exporter-${signal}-otlp-${protocol}`))[name];
const to = (signal) => ({ url: protocol === "grpc" ? endpoint : `${endpoint}/v1/${signal}`, compression });

const resource = resourceFromAttributes({ "service.name": service });
const Traces = await load("trace", "OTLPTraceExporter");
const Logs = await load("logs", "OTLPLogExporter");
const Metrics = await load("metrics", "OTLPMetricExporter");
const room = { maxQueueSize: count + 1, maxExportBatchSize: 100 };
const traces = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new Traces(to("traces")), room)] });
const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new Logs(to("logs")), ...room })] });
const meters = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new Metrics(to("metrics")), exportIntervalMillis: 3_600_000 })],
});

const tracer = traces.getTracer("clients", "1.0");
const logger = logs.getLogger("clients", "1.0");
const counter = meters.getMeter("clients", "1.0").createCounter("sent");
const spans = [];
for (let n = 0; n < count; n++) {
  const span = tracer.startSpan(`step ${n}`, { attributes: { n, text: "grüß ☕", flag: true, share: n + 0.5, list: ["a", "b"] } });
  span.addEvent("half way", { n });
  spans.push(span.spanContext().spanId);
  span.end();
  logger.emit({ eventName: "step.taken", body: { n, nested: { deep: [n, "x"] } }, severityNumber: 9, attributes: { n } });
  counter.add(1);
}
await Promise.all([traces.forceFlush(), logs.forceFlush(), meters.forceFlush()]);
await Promise.all([traces.shutdown(), logs.shutdown(), meters.shutdown()]);
console.log(JSON.stringify(spans));
