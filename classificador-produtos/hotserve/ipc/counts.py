"""What requests are counted by, in a worker's reports and in `/metrics`."""

FAST, PROCESS, NONE = "fast", "process", "none"
"""Who gave an answer: the fast lane, the model's process, or hotserve itself."""

BOUNDS = (
    *(0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds of the latency histogram in seconds; above the last one there is one bucket more."""

OTHER = "other"

SUMMED = (
    *("requests", "other_requests", "client_requests"),
    *("batches", "batch_rows", "failed_batches"),
)
"""What a report holds that is added up as it is: lists of a key's parts, and how often."""
