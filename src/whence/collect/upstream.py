"""Components that the upstream Collector has and whence has not, each with what to do instead.

The law: data only.
"""

from typing import Final

from whence.collect.table import Role

_KEEP_A_COLLECTOR: Final = "run an OpenTelemetry Collector with it beside whence, and let it send to whence by OTLP"
_SEND_OTLP: Final = "it takes OTLP: use otlp_http with its OTLP endpoint"
_THROUGH: Final = "use otlp_grpc to an OpenTelemetry Collector that has this exporter"
_DETECT: Final = "set what is known with resource and ${env:...}, or OTEL_RESOURCE_ATTRIBUTES in the program"
_OR_SET: Final = "; or set what is known with resource and ${env:...}"
_TRANSFORM: Final = "use transform, attributes or resource"

INSTEAD: Final[dict[tuple[Role, str], str]] = {
    **{
        ("receiver", name): _KEEP_A_COLLECTOR
        for name in (
            "prometheus", "jaeger", "zipkin", "kafka", "hostmetrics", "host_metrics", "kubeletstats", "k8s_cluster", "k8s_events",
            "k8sobjects", "docker_stats", "statsd", "syslog", "fluentforward", "journald", "opencensus", "influxdb", "redis",
            "postgresql", "mysql", "mongodb", "nginx", "apache", "httpcheck", "sqlquery", "windowseventlog", "awsxray", "datadog",
            "splunk_hec", "tcplog", "udplog", "googlecloudpubsub", "loki", "carbon", "collectd", "skywalking", "otelarrow",
        )
    },
    ("receiver", "nop"): "leave it out: a pipeline needs a receiver that receives",
    ("exporter", "jaeger"): "Jaeger takes OTLP: use otlp_grpc with its port 4317",
    ("exporter", "tempo"): "Tempo takes OTLP: use otlp_grpc with its port 4317",
    ("exporter", "loki"): "Loki takes OTLP: use otlp_http with the endpoint http://LOKI:3100/otlp",
    ("exporter", "zipkin"): _THROUGH,
    ("exporter", "prometheus"): "send metrics by otlp_http to Prometheus's OTLP endpoint: http://PROMETHEUS:9090/api/v1/otlp",
    ("exporter", "prometheusremotewrite"): "use otlp_http to the backend's OTLP endpoint; Prometheus: /api/v1/otlp",
    ("exporter", "elasticsearch"): "Elasticsearch takes OTLP: use otlp_http with its endpoint",
    ("exporter", "loadbalancing"): "use one otlp_grpc exporter a destination, or a load balancer between",
    **{
        ("exporter", name): _SEND_OTLP
        for name in ("datadog", "honeycomb", "signalfx", "splunk_hec", "coralogix", "logzio", "dynatrace", "azuremonitor")
    },
    **{
        ("exporter", name): _THROUGH
        for name in (
            "kafka", "clickhouse", "googlecloud", "awsxray", "awsemf", "awss3", "pulsar", "cassandra", "opensearch", "influxdb",
            "otelarrow", "syslog", "carbon", "opencensus",
        )
    },
    ("processor", "k8sattributes"): _KEEP_A_COLLECTOR + _OR_SET,
    ("processor", "k8s_attributes"): _KEEP_A_COLLECTOR + _OR_SET,
    ("processor", "resourcedetection"): _DETECT,
    ("processor", "resource_detection"): _DETECT,
    ("processor", "span"): _TRANSFORM,
    ("processor", "metricstransform"): _TRANSFORM,
    ("processor", "logstransform"): _TRANSFORM,
    ("processor", "groupbyattrs"): "leave it out: queries and retention do not depend on how records are grouped",
    ("processor", "groupbytrace"): "use tail_sampling, which puts traces together itself",
    ("processor", "cumulativetodelta"): "run it in an OpenTelemetry Collector behind whence",
    ("processor", "deltatocumulative"): "run it in an OpenTelemetry Collector behind whence",
    ("processor", "interval"): "run it in an OpenTelemetry Collector behind whence",
    ("processor", "routing"): "use one pipeline a destination, each with a filter",
    ("processor", "queued_retry"): "use sending_queue and retry_on_failure of the exporter",
    ("processor", "spanmetrics"): "run the spanmetrics connector in an OpenTelemetry Collector behind whence",
    ("connector", "spanmetrics"): "run it in an OpenTelemetry Collector behind whence",
    ("connector", "span_metrics"): "run it in an OpenTelemetry Collector behind whence",
    ("connector", "servicegraph"): "run it in an OpenTelemetry Collector behind whence",
    ("connector", "count"): "count with `whence query '... | count by ...'`",
    ("connector", "routing"): "use one pipeline a destination, each with a filter",
    ("connector", "failover"): "use one exporter with a sending_queue that has storage: it waits for the backend",
    ("connector", "roundrobin"): "use one otlp_grpc exporter a destination, or a load balancer between",
    ("connector", "exceptions"): "ask with `whence errors`",
    ("extension", "zpages"): "take it out: see the metrics on localhost:8888, health_check, and `whence tail`",
    ("extension", "pprof"): "take it out: use py-spy on the process",
    ("extension", "memory_ballast"): "take it out: nothing needs it",
    ("extension", "opamp"): "take it out: reload a changed file with SIGHUP",
    ("extension", "oidc"): "use bearertokenauth, or a proxy that checks tokens in front of whence",
    ("extension", "oauth2client"): "use bearertokenauth with `filename`, and keep the token in that file fresh",
    ("extension", "headers_setter"): "use `headers` of the exporter",
    ("extension", "db_storage"): "use file_storage",
    ("extension", "redis_storage"): "use file_storage",
}  # fmt: skip
"""By role and the Collector's name."""
