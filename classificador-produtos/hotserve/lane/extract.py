"""What a fitted scikit-learn pipeline computes, as plain arrays. Runs in the model's environment.

Types are compared exactly, never by isinstance: a subclass may compute anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.svm import LinearSVC

from hotserve.lane.analyzer import Settings
from hotserve.lane.arrays import GroupArrays, LeafArrays
from hotserve.lane.errors import NotLinearText
from hotserve.lane.model import Tfidf

NAIVE_BAYES = (MultinomialNB, ComplementNB)
LINEAR = (
    LinearSVC,
    LogisticRegression,
    LogisticRegressionCV,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
NOT_LINEAR_TEXT = "not a linear text classifier"
MOST_CLASSES = 500
"""With more of them scikit-learn is quicker at batches, and a batch holds up other requests."""


def extract(pipeline: Any) -> tuple[dict[str, Any], str]:
    """What the file holds of a fitted pipeline's model, and the pipeline's steps, for people.

    Raises:
        NotLinearText: it has a part that the lane can't do; the message names it.
    """
    steps = list(_steps(pipeline))
    if len(steps) < 2:
        raise NotLinearText(f"{NOT_LINEAR_TEXT}: {_name(pipeline)} is not a pipeline of steps")
    *transformers, classifier = steps
    groups = _groups(transformers)
    classes = _classes(classifier)
    own, intercept = _coefficients(classifier)
    # C order, as scikit-learn multiplies by them.
    coefficients = np.ascontiguousarray(own, dtype=np.float64)
    laid_out, offset = [], 0
    for group in groups:
        end = offset + group.terms
        laid_out.append(group.laid_out(offset, coefficients[offset:end]))
        offset = end
    model = {
        "classes": classes,
        "groups": [group for group, _ in laid_out],
        "columns": coefficients.shape[1],
        "coefficients": coefficients,
        "intercept": intercept.tolist(),
        "single": _single_precision(pipeline, groups, own.dtype),
        "largest": max(largest for _, largest in laid_out),
    }
    return model, " → ".join(map(_describe, steps))


def vectors_and_classifier(pipeline: Any, texts: Sequence[str]) -> tuple[Any, Any]:
    """What a pipeline's last step is given for some texts, and that step."""
    values: Any = texts
    *transformers, classifier = _steps(pipeline)
    for transformer in transformers:
        values = transformer.transform(values)
    return values, classifier


def _steps(step: Any) -> Iterator[Any]:
    """The steps of pipelines within pipelines, in order, those that do nothing left out."""
    if type(step) is not Pipeline:
        yield step
        return
    for _, inner in step.steps:
        if inner is not None and inner != "passthrough":
            yield from _steps(inner)


def _groups(transformers: Sequence[Any]) -> list[GroupArrays]:
    groups: list[GroupArrays] = []
    for index, step in enumerate(transformers):
        if type(step) is TfidfTransformer and index:
            _apply_tfidf(groups, step)
        elif type(step) is FeatureUnion and not index:
            groups = _union(step)
        elif type(step) in (CountVectorizer, TfidfVectorizer) and not index:
            groups = [GroupArrays([LeafArrays(_settings(step), _terms(step))])]
            if type(step) is TfidfVectorizer:
                _apply_tfidf(groups, step._tfidf)
        else:
            raise NotLinearText(f"{NOT_LINEAR_TEXT}: it has the step {_name(step)}")
    return groups


def _union(union: FeatureUnion) -> list[GroupArrays]:
    weights = union.transformer_weights or {}
    groups: list[GroupArrays] = []
    for name, transformer in union.transformer_list:
        if transformer == "drop":
            continue
        inner = _groups(list(_steps(transformer)))
        if (weight := weights.get(name)) is not None:
            for group in inner:
                group.weigh(float(weight))
        groups += inner
    if not groups:
        raise NotLinearText(f"{NOT_LINEAR_TEXT}: its FeatureUnion is empty")
    if all(group.tfidf is None for group in groups):
        # One group, so that a TfidfTransformer may follow.
        return [GroupArrays([leaf for group in groups for leaf in group.leaves])]
    return groups


def _apply_tfidf(groups: Sequence[GroupArrays], transformer: TfidfTransformer) -> None:
    if len(groups) != 1 or groups[0].tfidf is not None:
        raise NotLinearText("it weights by tf-idf what was weighted by tf-idf before")
    (group,) = groups
    if transformer.sublinear_tf and any(leaf.weights for leaf in group.leaves):
        raise NotLinearText("it has transformer_weights before a sublinear TfidfTransformer")
    idf = None
    if hasattr(transformer, "idf_"):
        numbers = np.asarray(transformer.idf_, dtype=np.float64)
        _require_finite(numbers, "idf_")
        idf = memoryview(numbers.tobytes()).cast("d")
    group.tfidf = Tfidf(bool(transformer.sublinear_tf), idf, transformer.norm)


def _settings(vectorizer: Any) -> Settings:
    for name in ("preprocessor", "tokenizer"):
        if getattr(vectorizer, name) is not None:
            raise NotLinearText(f"its vectorizer has a {name} of its own")
    if callable(vectorizer.analyzer) or callable(vectorizer.strip_accents):
        raise NotLinearText("its vectorizer has an analyzer or strip_accents of its own")
    if vectorizer.input != "content":
        raise NotLinearText(f"its vectorizer reads a {vectorizer.input}, not a text")
    if np.dtype(vectorizer.dtype) not in map(np.dtype, ("f4", "f8", "i4", "i8")):
        raise NotLinearText(f"its vectorizer counts in {np.dtype(vectorizer.dtype)}")
    word = vectorizer.analyzer == "word"
    if word:
        try:
            groups = re.compile(vectorizer.token_pattern).groups
        except (re.error, TypeError) as error:
            raise NotLinearText(f"its token_pattern is no regular expression: {error}") from None
        if groups > 1:
            raise NotLinearText("its token_pattern has more than one group")
    minimum, maximum = map(int, vectorizer.ngram_range)
    if minimum < 1:
        raise NotLinearText(f"its n-grams are {minimum} to {maximum} long")
    stop_words = vectorizer.get_stop_words() if word else None
    return Settings(
        analyzer=vectorizer.analyzer,
        min_n=minimum,
        max_n=maximum,
        lowercase=bool(vectorizer.lowercase),
        strip_accents=vectorizer.strip_accents or None,
        stop_words=sorted(each for each in stop_words or () if isinstance(each, str)),
        token_pattern=vectorizer.token_pattern if word else None,
        binary=bool(vectorizer.binary),
    )


def _terms(vectorizer: Any) -> list[str]:
    terms: list[Any] = vectorizer.get_feature_names_out().tolist()
    if not all(isinstance(term, str) for term in terms):
        raise NotLinearText("its vocabulary has terms that are no texts")
    return terms


def _classes(classifier: Any) -> list[str | int | bool]:
    if type(classifier) not in (*NAIVE_BAYES, *LINEAR):
        raise NotLinearText(f"{NOT_LINEAR_TEXT}: it ends in {_name(classifier)}")
    labels = getattr(classifier, "classes_", None)
    if labels is None or not isinstance(labels, np.ndarray) or labels.ndim != 1:
        raise NotLinearText(f"{_name(classifier)} is not trained, or has several outputs")
    classes: list[Any] = labels.tolist()
    if len(classes) > MOST_CLASSES:
        raise NotLinearText(f"it has {len(classes)} classes; the lane does up to {MOST_CLASSES}")
    for kind in (str, bool, int):
        if all(type(label) is kind for label in classes):
            return classes
    raise NotLinearText("its classes are not all texts, all whole numbers or all booleans")


def _coefficients(classifier: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Coefficients (terms, columns) in their own precision, and the intercept (columns,)."""
    if isinstance(classifier, NAIVE_BAYES):
        rows = classifier.feature_log_prob_
        intercept = classifier.class_log_prior_
        if isinstance(classifier, ComplementNB) and len(rows) > 1:
            intercept = np.zeros(len(rows))
    else:
        rows = classifier.coef_
        intercept = classifier.intercept_
        if sparse.issparse(rows):
            raise NotLinearText(f"{_name(classifier)} was made sparse; call densify() on it")
    rows = np.atleast_2d(np.asarray(rows))
    intercept = np.asarray(np.broadcast_to(intercept, rows.shape[:1]), dtype=np.float64)
    _require_finite(rows, "coefficients")
    _require_finite(intercept, "an intercept or prior")
    return rows.T, intercept


def _require_finite(numbers: np.ndarray[Any, Any], what: str) -> None:
    if not np.isfinite(numbers).all():
        raise NotLinearText(f"it has {what} that are not finite")


def _single_precision(
    pipeline: Any, groups: Sequence[GroupArrays], coefficient_type: np.dtype[Any]
) -> bool:
    """Whether values or sums are rounded to single precision somewhere."""
    values, _ = vectors_and_classifier(pipeline, ["a"])
    if not sparse.issparse(values):
        raise NotLinearText("its steps give a dense matrix")
    if values.dtype != np.float32:
        return False
    counted = all(
        group.tfidf is None and not any(leaf.weights for leaf in group.leaves) for group in groups
    )
    # Counts are whole numbers, the same in single precision.
    return not (counted and coefficient_type == np.float64)


def _name(step: Any) -> str:
    return type(step).__name__


def _describe(step: Any) -> str:
    if type(step) is FeatureUnion:
        inner = " + ".join(
            " → ".join(map(_describe, _steps(transformer)))
            for _, transformer in step.transformer_list
        )
        return f"({inner})"
    return _name(step)
