"""Twenty kinds of model as strangers register them, and rows to ask them for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.types.schema import ParamSchema, ParamSpec
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tests.e2e.hotserve_models import TEXTS, save_program

_RANDOM = np.random.default_rng(7)
COLUMNS = [f"c{number}" for number in range(8)]
NUMBERS = pd.DataFrame((_RANDOM.random((300, 8)) * 10).round(3), columns=COLUMNS)
TARGET = (NUMBERS["c0"] * 3 + NUMBERS["c1"] * NUMBERS["c2"]).to_numpy()
CLASSES = np.where(np.median(TARGET) < TARGET, "caro", "barato")
MIXED = pd.DataFrame(
    {
        "cor": _RANDOM.choice(["azul", "verde", "vermelho"], 300),
        "unidades": _RANDOM.integers(1, 50, 300),
        "novo": _RANDOM.random(300) > 0.5,
        "preço": (_RANDOM.random(300) * 100).round(2),
    }
)
PRODUCTS = pd.DataFrame({"texto": [text for group in TEXTS.values() for text in group] * 10})
LABELS = [label for label, group in TEXTS.items() for _ in group] * 10

COUNTS = "pyfunc that counts"
"""Answers how often it was asked: no two servers can agree about that."""
PYFUNCS = {
    "pyfunc of a list": "return [float(x) for x in model_input.sum(axis=1)]",
    "pyfunc of objects": (
        "return [{'soma': float(r.sum()), 'linha': [str(v) for v in r]} "
        "for r in model_input.to_numpy()]"
    ),
    "pyfunc of a frame": (
        "return pd.DataFrame({'a': model_input['c0'] * 2, 'b': model_input['c1'].astype(str)})"
    ),
    "pyfunc that normalises": (
        "return ((model_input - model_input.mean()).sum(axis=1) + 1).tolist()"
    ),
    "pyfunc of another length": "return [float(model_input.to_numpy().sum())]",
    "pyfunc with parameters": (
        "return (model_input.sum(axis=1) * (params or {}).get('factor', 1.0)).tolist()"
    ),
    "pyfunc that refuses": (
        "if (model_input['c0'] > 9).any(): raise ValueError('c0 is over 9')\n"
        "return model_input['c0'].tolist()"
    ),
    COUNTS: "self.asked += 1\nreturn [self.asked] * len(model_input)",
}

ESTIMATORS: dict[str, Callable[[], tuple[BaseEstimator, pd.DataFrame]]] = {
    "linear regression": lambda: (LinearRegression().fit(NUMBERS, TARGET), NUMBERS),
    "logistic regression": lambda: (LogisticRegression().fit(NUMBERS, CLASSES), NUMBERS),
    "decision tree": lambda: (DecisionTreeClassifier(max_depth=5).fit(NUMBERS, CLASSES), NUMBERS),
    "random forest": lambda: (RandomForestRegressor(20).fit(NUMBERS, TARGET), NUMBERS),
    "boosted regression": lambda: (HistGradientBoostingRegressor().fit(NUMBERS, TARGET), NUMBERS),
    "boosted classes": lambda: (HistGradientBoostingClassifier().fit(NUMBERS, CLASSES), NUMBERS),
    "support vectors": lambda: (
        make_pipeline(StandardScaler(), SVC()).fit(NUMBERS, CLASSES),
        NUMBERS,
    ),
    "neighbours": lambda: (KNeighborsClassifier().fit(NUMBERS, CLASSES), NUMBERS),
    "clusters": lambda: (KMeans(4, n_init=1).fit(NUMBERS), NUMBERS),
    "outliers": lambda: (IsolationForest(n_estimators=30).fit(NUMBERS), NUMBERS),
    "neural network": lambda: (
        make_pipeline(StandardScaler(), MLPRegressor(max_iter=50)).fit(NUMBERS, TARGET),
        NUMBERS,
    ),
    "two targets": lambda: (
        make_pipeline(PCA(3), LinearRegression()).fit(NUMBERS, np.c_[TARGET, -TARGET]),
        NUMBERS,
    ),
    "columns of several types": lambda: (
        make_pipeline(
            make_column_transformer((OneHotEncoder(), ["cor"]), remainder="passthrough"),
            LinearRegression(),
        ).fit(MIXED, TARGET),
        MIXED,
    ),
    "texts by words": lambda: (
        make_pipeline(
            make_column_transformer((CountVectorizer(), "texto")), MultinomialNB()
        ).fit(PRODUCTS, LABELS),
        PRODUCTS,
    ),
    "texts by neighbours": lambda: (
        make_pipeline(
            make_column_transformer((TfidfVectorizer(), "texto")), KNeighborsClassifier()
        ).fit(PRODUCTS, LABELS),
        PRODUCTS,
    ),
}  # fmt: skip
KINDS = tuple(kind for kind in (*ESTIMATORS, *PYFUNCS) if kind != COUNTS)


def save(kind: str, folder: Path) -> pd.DataFrame:
    """Write a model of that kind, with an example and a signature; returns rows to ask it for."""
    more: dict[str, Any] = {"pip_requirements": ["mlflow", "scikit-learn"]}
    if kind in ESTIMATORS:
        model, rows = ESTIMATORS[kind]()
        more |= {"signature": infer_signature(rows, model.predict(rows))}
        more |= {"input_example": rows.head(3), "serialization_format": "cloudpickle"}
        mlflow.sklearn.save_model(model, folder, **more)
        return rows
    signature = infer_signature(NUMBERS)
    if kind == "pyfunc with parameters":
        signature.params = ParamSchema([ParamSpec("factor", "double", 1.0)])
    more |= {"signature": signature, "input_example": NUMBERS.head(3)}
    save_program(folder, PYFUNCS[kind], **more)
    return NUMBERS
