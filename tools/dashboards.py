"""Write Grafana's dashboards, deploy/monitoring/dashboards/*.json: `make dashboards`.

What a panel shows is said here; what Grafana wants of its JSON, Grafana's own library knows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "monitoring" / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")

PERCENT, SECONDS, BYTES, EACH_SECOND, NUMBER = "percentunit", "s", "bytes", "ops", "short"


@dataclass(frozen=True)
class Panel:
    """A curve for each series of its queries, or the last value of each.

    Attributes:
        unit: Grafana's name of it.
        queries: PromQL by what its curves are called; {{label}} is the label's value. Only a
            hotserve of many models has the label `model`.
        is_stat: whether to show the last value, in large figures.
    """

    title: str
    unit: str
    queries: dict[str, str]
    is_stat: bool = False


def _each(metric: str, by: str, window: str = "5m") -> str:
    return f"sum by ({by}) (rate({metric}[{window}]))"


def _quantile(quantile: float) -> str:
    buckets = _each("hotserve_request_duration_seconds_bucket", "le, lane")
    return f"histogram_quantile({quantile}, {buckets})"


def _share(part: str, whole: str) -> str:
    return f"{part} / {whole}"


_PRODUCTS = _each("hotserve_products_total", "category, model, version", "1h")

DASHBOARDS = {
    "service": [
        Panel(
            "Served", NUMBER, {"{{name}} version {{version}}": "hotserve_model_info"}, is_stat=True
        ),
        Panel(
            "Ready",
            NUMBER,
            {
                "ready {{model}}": "hotserve_ready",
                "lane {{model}}": "hotserve_lane_open",
                "batching {{model}}": "hotserve_batching_open",
            },
            is_stat=True,
        ),
        Panel(
            "Alerts",
            NUMBER,
            {"firing": 'count(ALERTS{alertstate="firing"}) or vector(0)'},
            is_stat=True,
        ),
        Panel(
            "Requests by who answered",
            EACH_SECOND,
            {"{{lane}}": _each("hotserve_requests_total", "lane")},
        ),
        Panel(
            "Requests by status",
            EACH_SECOND,
            {"{{code}}": _each("hotserve_requests_total", "code")},
        ),
        Panel(
            "Errors",
            PERCENT,
            {
                "5xx": "(sum(rate(hotserve_requests_total{code=~'5..'}[5m])) or vector(0))"
                " / sum(rate(hotserve_requests_total[5m]))"
            },
        ),
        Panel("Half of the answers within", SECONDS, {"{{lane}}": _quantile(0.5)}),
        Panel("99 % of the answers within", SECONDS, {"{{lane}}": _quantile(0.99)}),
        Panel("Requests under way", NUMBER, {"requests": "sum(hotserve_requests_in_flight)"}),
        Panel(
            "Restarts in an hour",
            NUMBER,
            {
                "model's process {{model}}": "increase(hotserve_process_restarts_total[1h])",
                "front workers": "increase(hotserve_worker_restarts_total[1h])",
            },
        ),
        Panel("Registry", NUMBER, {"reachable": "hotserve_registry_reachable"}),
        Panel(
            "Versions in an hour",
            NUMBER,
            {
                "took over {{model}}": "increase(hotserve_switches_total[1h])",
                "did not start {{model}}": "increase(hotserve_failed_starts_total[1h])",
            },
        ),
    ],
    "models": [
        Panel(
            "Products by version",
            EACH_SECOND,
            {"version {{version}} {{model}}": _each("hotserve_products_total", "model, version")},
        ),
        Panel(
            "Share of each category",
            PERCENT,
            {
                "{{category}}, version {{version}} {{model}}": _PRODUCTS
                + " / on (model, version) group_left "
                + _each("hotserve_products_total", "model, version", "1h")
            },
        ),
        Panel(
            "Share of each category in training",
            PERCENT,
            {"{{category}}, version {{version}} {{model}}": "hotserve_expected_products"},
        ),
        Panel(
            "Words that the model does not know",
            PERCENT,
            {
                "version {{version}} {{model}}": _share(
                    _each('hotserve_terms_total{known="false"}', "model, version", "1h"),
                    _each("hotserve_terms_total", "model, version", "1h"),
                ),
                "version {{version}} {{model}} in training": "hotserve_expected_unknown_terms",
            },
        ),
        Panel(
            "Mean probability of an answer",
            PERCENT,
            {
                "version {{version}} {{model}}": _share(
                    _each("hotserve_top_probability_sum", "model, version", "1h"),
                    _each("hotserve_top_probability_count", "model, version", "1h"),
                ),
                "version {{version}} {{model}} in training": "hotserve_expected_top_probability",
            },
        ),
    ],
    "stack": [
        Panel("Parts that answer", NUMBER, {"{{job}}": "min by (job) (up)"}, is_stat=True),
        Panel(
            "Time since the last backup",
            SECONDS,
            {"backup": "time() - backup_last_success_timestamp_seconds"},
            is_stat=True,
        ),
        Panel(
            "Time until a certificate ends",
            SECONDS,
            {"{{instance}}": "probe_ssl_earliest_cert_expiry - time()"},
            is_stat=True,
        ),
        Panel("MLflow and S3 answer within", SECONDS, {"{{service}}": "probe_duration_seconds"}),
        Panel(
            "MySQL",
            EACH_SECOND,
            {
                "questions": "rate(mysql_global_status_questions[5m])",
                "slow ones": "rate(mysql_global_status_slow_queries[5m])",
            },
        ),
        Panel(
            "Connections to MySQL",
            NUMBER,
            {
                "open": "mysql_global_status_threads_connected",
                "most": "mysql_global_variables_max_connections",
            },
        ),
        Panel("Requests to S3", EACH_SECOND, {"{{api}}": "rate(minio_s3_requests_total[5m])"}),
        Panel(
            "Disks: free",
            PERCENT,
            {
                "{{mountpoint}}": 'node_filesystem_avail_bytes{fstype=~"ext.|xfs|btrfs|zfs"}'
                " / node_filesystem_size_bytes"
            },
        ),
        Panel(
            "Memory",
            BYTES,
            {
                "available": "node_memory_MemAvailable_bytes",
                "all": "node_memory_MemTotal_bytes",
            },
        ),
        Panel(
            "Processors at work",
            PERCENT,
            {"busy": '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))'},
        ),
    ],
}
TITLES = {"service": "Service", "models": "Models and quality", "stack": "Stack"}


def dashboard(name: str) -> str:
    """The JSON of one dashboard."""
    whole = (
        Dashboard(TITLES[name])
        .uid(name)
        .tags(["classificador-de-produtos"])
        .time("now-6h", "now")
        .refresh("30s")
    )
    for place, panel in enumerate(DASHBOARDS[name], 1):
        drawn = Stat() if panel.is_stat else TimeSeries()
        drawn.id(place).title(panel.title).unit(panel.unit).datasource(SOURCE).height(8).span(8)
        for number, (legend, query) in enumerate(panel.queries.items()):
            target = Dataquery().expr(query).legend_format(legend).ref_id("ABCDEF"[number])
            drawn.with_target(target.datasource(SOURCE))
        whole.with_panel(drawn)
    # What is null here has a default there.
    built = json.loads(
        json.dumps(whole.build(), cls=JSONEncoder),
        object_hook=lambda item: {k: v for k, v in item.items() if v is not None},
    )
    return json.dumps(built, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each}.json").write_text(dashboard(each), "utf-8")
