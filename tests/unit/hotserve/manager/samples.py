"""What the tests of the manager share."""

from hotserve.manager.registry import ModelVersion


def version(number: str = "1", *, created: int = 1, source: str = "models:/m-1") -> ModelVersion:
    """A version of `produtos`, in Production with the alias `a`."""
    return ModelVersion(
        name="produtos",
        version=number,
        stage="Production",
        aliases=("a",),
        run_id="r",
        model_id="m",
        source=source,
        created=created,
        status="READY",
    )
