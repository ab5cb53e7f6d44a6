"""Metrics in Prometheus's text form, over HTTP: how late the durable copy is.

Names and units follow Prometheus's rules: base units, so seconds, and a counter's or
histogram's series by its name. https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from math import inf
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from inventory_server.domain.copy import LAG_BOUNDS_MS, CopyReport


class CopyCollector(Collector):
    """What the drainer of this server says of the copy, read when it is asked for."""

    def __init__(self, report: Callable[[], CopyReport]) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """The histogram of lags, and two gauges."""
        report = self._report()
        counts = report.lags or (0,) * len(LAG_BOUNDS_MS)
        bounds = [f"{bound / 1000:g}" if bound < inf else "+Inf" for bound in LAG_BOUNDS_MS]
        yield HistogramMetricFamily(
            "inventory_copy_lag_seconds",
            "From a movement to its being durable in DynamoDB, of those that this server copied.",
            buckets=list(zip(bounds, accumulate(counts), strict=True)),
            sum_value=report.lag_sum_ms / 1000,
        )
        yield GaugeMetricFamily(
            "inventory_copy_waiting_seconds",
            "How long the oldest movement has been waiting that this server has to copy.",
            report.waiting_ms / 1000,
        )
        yield GaugeMetricFamily(
            "inventory_copy_lost_movements",
            "Movements that were trimmed before they were copied.",
            report.not_copied,
        )


class Metrics:
    """The HTTP server, in a thread of its own."""

    def __init__(self, report: Callable[[], CopyReport] | None) -> None:
        """`report` says how the copy stands; None where there is none."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        if report is not None:
            self._registry.register(CopyCollector(report))
        self.port = 0
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None

    def start(self, host: str, port: int) -> None:
        """Listens. Raises OSError where it cannot."""
        self._server, self._thread = start_http_server(port, host, self._registry)
        self.port = self._server.server_port

    def stop(self) -> None:
        """Ends."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
