"""A product classifier as a tutorial has it: the straight way, with what MLflow does by itself.

The other side of `benchmarks/train.py`. Function words come from the project's own list and not
from a download, which is to its advantage.
"""

import argparse

import mlflow
import mlflow.sklearn
import nltk
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline

parser = argparse.ArgumentParser()
parser.add_argument("--test_size", type=float)
parser.add_argument("--include_names")
parser.add_argument("--dataset")
arguments = parser.parse_args()

products = pd.read_csv(arguments.dataset, delimiter=";", encoding="utf-8")
if arguments.include_names == "sim":
    products["informacao"] = products["nome"] + " " + products["descricao"]
else:
    products["informacao"] = products["descricao"]
products = products.dropna(subset=["informacao", "categoria"])

tokenizer = nltk.tokenize.RegexpTokenizer(r"\w+")
stop_words = set(nltk.corpus.stopwords.words("portuguese"))
products["informacao"] = products["informacao"].str.lower().apply(tokenizer.tokenize)
products["informacao"] = products["informacao"].apply(
    lambda words: " ".join(word for word in words if word not in stop_words)
)

with mlflow.start_run():
    x_train, x_test, y_train, y_test = train_test_split(
        products["informacao"],
        products["categoria"],
        test_size=arguments.test_size,
        random_state=10,
    )
    pipeline = Pipeline([("counts", CountVectorizer()), ("classifier", MultinomialNB())])
    pipeline.fit(x_train, y_train)
    mlflow.log_metric("acuracia", accuracy_score(y_test, pipeline.predict(x_test)))
    mlflow.sklearn.log_model(pipeline, name="modelo")
