"""`mlflow models serve` that follows the registry: a model is swapped without losing a request."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hotserve")
except PackageNotFoundError:  # run from a source folder that was never installed
    __version__ = "0+unknown"
