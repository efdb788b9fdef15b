"""Fetch a model's files with MLflow: `fetch.py URI FOLDER`.

What `mlflow artifacts download` does, but for importing every other command of MLflow's first,
which takes longer than most models' files. This script is run by the Python that has MLflow, and
imports nothing of hotserve's.
"""

import sys

from mlflow.artifacts import download_artifacts

if __name__ == "__main__":
    download_artifacts(artifact_uri=sys.argv[1], dst_path=sys.argv[2])
