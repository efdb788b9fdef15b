"""The pipelines: text in, category out, all text work inside."""

from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline

from produtos.model.stop_words import stop_words
from produtos.text import TOKEN


def build(
    classifier: str, *, strip_accents: bool, alpha: float | None = None, ngrams: int = 1
) -> Pipeline:
    """An untrained pipeline of scikit-learn's own steps, so that it is saved without pickle.

    Args:
        classifier: one of `parameters.CLASSIFIERS`.
        strip_accents: whether `aneis` and `anéis` are the same word.
        alpha: smoothing, or 1/C; None for the classifier's own.
        ngrams: so many words in a row are a term at most.
    """
    text_work = {
        "lowercase": True,
        "strip_accents": "unicode" if strip_accents else None,
        "stop_words": stop_words(strip_accents=strip_accents),
        "token_pattern": TOKEN,
        "ngram_range": (1, ngrams),
    }
    if classifier == "naive_bayes":
        steps = [
            ("vectorizer", CountVectorizer(**text_work)),
            ("classifier", MultinomialNB(alpha=alpha or 1.0)),
        ]
    elif classifier == "logistic_regression":
        # Without an intercept, so that a text of one word is judged by that word and not by how
        # often each category came up in training.
        settings = {"fit_intercept": False, "max_iter": 1000}
        steps = [
            ("vectorizer", TfidfVectorizer(sublinear_tf=True, **text_work)),
            ("classifier", LogisticRegression(C=1 / (alpha or 0.1), **settings)),
        ]
    else:
        raise ValueError(f"no such classifier: {classifier}")
    return Pipeline(steps)
