"""The samples of a scrape, found by name and labels."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample


class Samples:
    """What a parser of prometheus_client found."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._samples = [sample for family in families for sample in family.samples]

    def named(self, name: str, /, **labels: str) -> list[Sample]:
        """Those of that name with at least these labels."""
        return [s for s in self._samples if s.name == name and labels.items() <= s.labels.items()]

    def value(self, name: str, /, **labels: str) -> float:
        """The one value of that name with these labels."""
        found = self.named(name, **labels)
        assert len(found) == 1, (name, labels, found)
        return float(found[0].value)

    def total(self, name: str, /, **labels: str) -> float:
        """The sum of all values of that name with these labels; 0 where there are none."""
        return float(sum(sample.value for sample in self.named(name, **labels)))
