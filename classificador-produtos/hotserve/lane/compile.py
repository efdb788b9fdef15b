"""Compiles an MLflow model to the fast lane's file: `python compile.py MODEL_DIR OUT_FILE`.

Runs in the model's own environment, as a module or as a plain script (then hotserve needs no
installing there). Writes OUT_FILE and, beside it, OUT_FILE.probes.json, the texts on which the
lane must agree with the served model.

One line of JSON goes to standard output. Exit codes: 0 compiled; 3 the lane can't do this model,
`reason` says why; 2 the command line or OUT_FILE is wrong, `error` says how.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import types
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if not __package__:
    # A script: its own folder would shadow modules of the model's, so it leaves the path, and
    # the package is found by its path.
    sys.path.pop(0)
    package = types.ModuleType("hotserve")
    package.__path__ = [str(Path(__file__).resolve().parents[1])]
    sys.modules["hotserve"] = package

from hotserve.lane import container
from hotserve.lane.errors import NotLinearText, Uncertain
from hotserve.lane.exact_scorer import exact_scores
from hotserve.lane.lane import Lane
from hotserve.lane.probabilities import KINDS
from hotserve.lane.probes import Difference, compare, model_example, probe_texts, probes_file

MAX_SUBLINEAR = 1024
"""Counts up to here have the very logarithm that the model's numpy gives."""
EXIT_OK, EXIT_WRONG_USE, EXIT_NOT_FOR_THE_LANE = 0, 2, 3
PROBABILITY_TOLERANCE = 1e-10


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 2:
        return _report(EXIT_WRONG_USE, error="give two arguments: MODEL_DIR OUT_FILE")
    model_folder, out = map(Path, arguments)
    if not out.absolute().parent.is_dir():
        return _report(EXIT_WRONG_USE, error=f"{out.absolute().parent} is not a folder")
    try:
        # What libraries print must not come between us and the reader of our one line.
        with contextlib.redirect_stdout(sys.stderr):
            pipeline = load_pipeline(model_folder)
            lane = compile_pipeline(pipeline, out, model_example(model_folder))
    except NotLinearText as reason:
        return _report(EXIT_NOT_FOR_THE_LANE, reason=str(reason))
    except OSError as error:
        return _report(EXIT_WRONG_USE, error=f"{out} can't be written: {error.strerror or error}")
    except Exception as error:
        # Any model may come here, and its libraries may raise anything.
        return _report(EXIT_NOT_FOR_THE_LANE, reason=f"it can't be compiled: {_one_line(error)}")
    return _report(EXIT_OK, file=str(out), probes=str(probes_file(out)), **lane.info)


def load_pipeline(model_folder: Path) -> Any:
    """The scikit-learn object of an MLflow model, from its `sklearn` flavor.

    Raises:
        NotLinearText: the model has no such flavor, or can't be loaded.
    """
    import yaml

    try:
        model = yaml.safe_load((model_folder / "MLmodel").read_text("utf-8"))
        flavor = model["flavors"].get("sklearn")
    except OSError as error:
        raise NotLinearText(f"MLmodel can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
        raise NotLinearText("MLmodel is not the description of an MLflow model") from None
    if not isinstance(flavor, dict):
        raise NotLinearText("not a linear text classifier: it has no scikit-learn flavor")
    try:
        if flavor.get("serialization_format") == "skops":
            # mlflow.sklearn refuses even this while MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false.
            import skops.io

            return skops.io.load(
                model_folder / flavor["pickled_model"], trusted=flavor.get("skops_trusted_types")
            )
        import mlflow.sklearn

        return mlflow.sklearn.load_model(str(model_folder))
    except Exception as error:
        raise NotLinearText(f"the model can't be loaded: {_one_line(error)}") from None


def compile_pipeline(pipeline: Any, out: Path, example: Sequence[str] = ()) -> Lane:
    """Write the files for a fitted pipeline, and compare the lane's answers with its own.

    Args:
        pipeline: a fitted scikit-learn pipeline from texts to labels.
        out: the file to write; the probes go beside it.
        example: texts that its maker gave as an example.

    Returns:
        The lane, opened from the file.

    Raises:
        NotLinearText: the lane can't do it, or answers differently.
        OSError: a file can't be written.
    """
    import numpy as np
    import sklearn

    from hotserve.lane.extract import extract

    model, description = extract(pipeline)
    counts = np.arange(1, MAX_SUBLINEAR + 1, dtype=np.float64)
    np.log(counts, counts)
    counts += 1.0
    model |= {"probability": None, "exact": False, "log_counts": counts}
    info = {
        "pipeline": description,
        "terms": len(model["coefficients"]),
        "classes": len(model["classes"]),
        "scikit_learn": sklearn.__version__,
    }
    header = {"unicode": unicodedata.unidata_version, "model": model, "info": info}
    container.write(out, header)
    try:
        lane = Lane(out)
        probes = probe_texts(lane, example)
        scores = [exact_scores(lane.model, text)[0] for text in probes]
        model["exact"] = _same_bits(scores, pipeline, probes)
        if not lane.model.single:
            model["probability"] = _probability_kind(scores, pipeline, probes)
        container.write(out, header)
        lane = Lane(out)
        _compare(lane, pipeline, probes)
        probes_file(out).write_text(json.dumps(probes), "ascii")
    except BaseException:
        with contextlib.suppress(OSError):
            out.unlink()
        raise
    return lane


def _same_bits(scores: Sequence[Sequence[float]], pipeline: Any, probes: Sequence[str]) -> bool:
    """Whether our sums are the model's to the last bit.

    Not so where SciPy was built to multiply and add in one rounding, as on ARM.
    """
    from hotserve.lane.extract import vectors_and_classifier

    vectors, classifier = vectors_and_classifier(pipeline, probes)
    if hasattr(classifier, "predict_joint_log_proba"):
        theirs = classifier.predict_joint_log_proba(vectors)
    else:
        theirs = classifier.decision_function(vectors)
    return bool((theirs.reshape(len(scores), -1) == scores).all())


def _probability_kind(
    scores: Sequence[Sequence[float]], pipeline: Any, probes: Sequence[str]
) -> str | None:
    if not hasattr(pipeline, "predict_proba"):
        return None
    import numpy as np

    theirs = pipeline.predict_proba(probes)
    for kind, probabilities in KINDS.items():
        with contextlib.suppress(ValueError, OverflowError):
            ours = list(map(probabilities, scores))
            if np.allclose(ours, theirs, rtol=0.0, atol=PROBABILITY_TOLERANCE):
                return kind
    return None


def _compare(lane: Lane, pipeline: Any, probes: Sequence[str]) -> None:
    answers = pipeline.predict(probes).tolist()
    difference = compare(lane, probes, answers)
    with contextlib.suppress(Uncertain):
        # All at once goes another way through the lane than one by one.
        together = zip(probes, lane.predict(probes), answers, strict=True)
        different = [Difference(text, repr(a), repr(b)) for text, a, b in together if a != b]
        difference = difference or (different[0] if different else None)
    if difference is not None:
        raise NotLinearText(f"the compiled model differs from scikit-learn: {difference}")


def _one_line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 300 else f"{text[:300]}…"


def _report(code: int, **message: Any) -> int:
    print(json.dumps(message), flush=True)
    return code


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    # Libraries of the model may have left threads that keep the process.
    os._exit(exit_code)
