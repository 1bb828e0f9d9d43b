"""What Prometheus may ask. One registry per application, so that a test's counts are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The counters; `drift` is asked when Prometheus asks. What every request counts has its look-up remembered."""

    def __init__(self, drift: Callable[[], Mapping[str, float]]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Drift(drift))
        self.seconds = Histogram(
            "serving_request_seconds", "Request to answer.", ["route"], buckets=_BUCKETS, registry=registry
        )
        self.requests = Counter("serving_requests", "Answers.", ["route", "status"], registry=registry)
        self.predictions = Counter("serving_predictions", "Rows answered.", ["label"], registry=registry)
        self.seconds_of = cache(self.seconds.labels)
        self.requests_of = cache(self.requests.labels)
        self.predictions_of = cache(self.predictions.labels)
        self.swaps = Counter("serving_model_swaps", "Models taken into service.", registry=registry)
        self.rejected = Counter("serving_models_rejected", "Models the checks refused.", registry=registry)
        self.following = Gauge("serving_registry_up", "1 when MLflow answered the last look.", registry=registry)
        self.model = Gauge(
            "serving_model_info", "The model in service.", ["name", "version", "run_id"], registry=registry
        )


class _Drift(Collector):
    def __init__(self, drift: Callable[[], Mapping[str, float]]) -> None:
        self.drift = drift

    def collect(self) -> Iterator[GaugeMetricFamily]:
        title = "Population stability index against the training data."
        family = GaugeMetricFamily("serving_feature_psi", title, labels=["feature"])
        for feature, value in self.drift().items():
            family.add_metric([feature], value)
        yield family
