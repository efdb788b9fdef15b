"""The pipelines, how they are evaluated, and how they are saved."""
