"""The lane answers what scikit-learn answers, whatever the pipeline and the text."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import LinearSVC

from hotserve.lane import Lane, Uncertain
from hotserve.lane.batch_scorer import MARK, BatchScorer
from hotserve.lane.extract import vectors_and_classifier
from hotserve.lane.fast_scorer import fast_scorer, slack
from hotserve.lane.lane import SMALLEST_BATCH
from tests.unit.hotserve.lane.lane_corpus import TEXTS, WORDS, compiled, fit_and_compile, lane_of

ODD = [
    " ",
    "\n",
    "\u2028",
    "\u00a0",
    "\u0301",
    "\u00a8",
    "Σ",
    "ς",
    "İ",
    "ß",
    "ﬁ",
    "ﷺ",
    "\x00",
    "\ud800",
    MARK,
    f" {MARK} ",
]

texts_of_words = st.lists(
    st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(WORDS).map(str.upper),
        st.sampled_from(ODD),
        st.text(max_size=4),
    ),
    max_size=14,
).flatmap(lambda words: st.sampled_from([" ", "", ", ", "\n"]).map(lambda s: s.join(words)))
texts = st.one_of(texts_of_words, st.text(max_size=40), st.sampled_from(TEXTS))
text_lists = st.lists(texts, min_size=1, max_size=12)

vectorizer_settings = st.fixed_dictionaries(
    {
        "analyzer": st.sampled_from(["word", "word", "char", "char_wb"]),
        "ngram_range": st.sampled_from([(1, 1), (1, 1), (1, 2), (2, 2), (1, 3), (2, 3)]),
        "lowercase": st.booleans(),
        "strip_accents": st.sampled_from([None, "ascii", "unicode"]),
        "binary": st.booleans(),
    }
)
word_settings = st.fixed_dictionaries(
    {
        "token_pattern": st.sampled_from(
            [r"\w+", r"(?u)\b\w\w+\b", r"[^\W\d_]+", r"\S+", r"(\w)\w*", r"\w+|[^\w\s]"]
        ),
        "stop_words": st.sampled_from([None, ["de", "da", "o", "que"], "english"]),
    }
)
tfidf_settings = st.fixed_dictionaries(
    {
        "norm": st.sampled_from(["l1", "l2", None]),
        "use_idf": st.booleans(),
        "smooth_idf": st.booleans(),
        "sublinear_tf": st.booleans(),
    }
)


@st.composite
def vectorizers(draw: st.DrawFn) -> BaseEstimator:
    options: dict[str, Any] = draw(vectorizer_settings)
    if options["analyzer"] == "word":
        options |= draw(word_settings)
    if draw(st.booleans()):
        options["max_features"] = draw(st.sampled_from([5, 30]))
    if draw(st.booleans()):
        return CountVectorizer(**options)
    return TfidfVectorizer(**options, **draw(tfidf_settings))


@st.composite
def vectorizing_steps(draw: st.DrawFn) -> list[BaseEstimator]:
    kind = draw(st.sampled_from(["one", "one", "transformer", "union", "union then transformer"]))
    if kind == "one":
        return [draw(vectorizers())]
    transformer = TfidfTransformer(**draw(tfidf_settings))
    if kind == "transformer":
        return [CountVectorizer(**draw(vectorizer_settings)), transformer]
    if kind == "union":
        parts = draw(st.lists(vectorizers(), min_size=2, max_size=3))
        weights = draw(st.sampled_from([None, {"0": 0.5, "1": 3.0}, {"1": 2}]))
    else:
        parts = [CountVectorizer(**draw(vectorizer_settings)) for _ in range(2)]
        weights = None
    union = FeatureUnion(
        [(str(i), part) for i, part in enumerate(parts)], transformer_weights=weights
    )
    return [union] if kind == "union" else [union, make_pipeline("passthrough", transformer)]


classifiers = st.sampled_from(
    [
        MultinomialNB(),
        MultinomialNB(alpha=0.01, fit_prior=False),
        ComplementNB(),
        ComplementNB(norm=True),
        LogisticRegression(),
        LogisticRegression(C=100, fit_intercept=False),
        LinearSVC(),
        SGDClassifier(random_state=1),
        SGDClassifier(loss="log_loss", random_state=1),
        SGDClassifier(loss="modified_huber", random_state=1),
        SGDClassifier(loss="squared_hinge", average=True, random_state=1),
        RidgeClassifier(),
    ]
)


def assert_equal(pipeline: Any, lane: Lane, given_texts: list[str]) -> None:
    """Labels equal, one by one and as a large batch; probabilities within 1e-9."""
    expected = pipeline.predict(given_texts).tolist()
    assert [lane.predict([text])[0] for text in given_texts] == expected
    times = 1 + SMALLEST_BATCH // len(given_texts)
    assert lane.predict(given_texts * times) == expected * times
    # A model on its own must not have to be asked: these all calculate in double precision.
    scores = BatchScorer(lane.model).scores(given_texts)
    vectors, classifier = vectors_and_classifier(pipeline, given_texts)
    if isinstance(classifier, MultinomialNB | ComplementNB):
        theirs = classifier.predict_joint_log_proba(vectors)
    else:
        theirs = classifier.decision_function(vectors)
    assert lane.model.exact
    np.testing.assert_array_equal(scores, theirs.reshape(len(given_texts), -1))
    if hasattr(pipeline, "predict_proba"):
        theirs = pipeline.predict_proba(given_texts)
        np.testing.assert_allclose(lane.predict_proba(given_texts), theirs, rtol=0, atol=1e-9)
    else:
        assert not lane.has_probabilities


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    vectorizing_steps(),
    classifiers,
    st.sampled_from(["str", "two", "int", "bool"]),
    st.lists(text_lists, min_size=3, max_size=3),
)
def test_any_pipeline_on_any_texts(
    steps: list[BaseEstimator], classifier: BaseEstimator, kind: str, lists: list[list[str]]
) -> None:
    try:
        make_pipeline(*steps).fit(TEXTS)
    except ValueError:
        assume(False)  # all that the corpus holds was left out
    pipeline, lane = fit_and_compile(*steps, classifier, kind=kind)
    for each in lists:
        assert_equal(pipeline, lane, each)


def test_a_long_text_does_not_cost_the_probabilities_their_digits() -> None:
    steps = [
        CountVectorizer(analyzer="char", lowercase=False),
        TfidfTransformer(norm="l1", use_idf=False, sublinear_tf=True),
    ]
    pipeline, lane = fit_and_compile(*steps, MultinomialNB(), kind="str")
    theirs = pipeline.predict_proba(["a" * 10_000])
    np.testing.assert_allclose(lane.predict_proba(["a" * 10_000]), theirs, rtol=0, atol=1e-12)


def test_a_closer_look_counts_the_words_that_the_vectorizers_know() -> None:
    steps = [CountVectorizer(token_pattern=r"\w+", stop_words=["de"], ngram_range=(1, 2))]
    pipeline, lane = fit_and_compile(*steps, MultinomialNB(), kind="str")
    known = pipeline[0].get_feature_names_out()[0].split()[0]
    terms, found, top = lane.inspect(f"{known} de nuncavista")
    assert (terms, found) == (3, 1)
    assert top == pytest.approx(pipeline.predict_proba([f"{known} de nuncavista"]).max())
    assert lane.inspect("")[:2] == (0, 0)
    _, without = fit_and_compile(*steps, LinearSVC(), kind="str")
    assert without.inspect(known)[2] is None


def count(accents: str | None) -> list[BaseEstimator]:
    vectorizer = CountVectorizer(
        strip_accents=accents, stop_words=["de", "da", "o"], token_pattern=r"\w+"
    )
    return [vectorizer, MultinomialNB()]


def tfidf(longest: int, sublinear: bool) -> list[BaseEstimator]:
    vectorizer = TfidfVectorizer(
        strip_accents="unicode",
        stop_words=["de", "da", "o"],
        token_pattern=r"\w+",
        ngram_range=(1, longest),
        sublinear_tf=sublinear,
    )
    return [vectorizer, LogisticRegression(C=10.0)]


def two_vectorizers(accents: str | None) -> list[BaseEstimator]:
    union = FeatureUnion(
        [
            ("words", TfidfVectorizer(ngram_range=(1, 2), strip_accents=accents)),
            ("letters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))),
        ],
        transformer_weights={"letters": 0.7},
    )
    return [union, LinearSVC()]


def letters() -> list[BaseEstimator]:
    """Of which a run may go from one word into the next."""
    return [CountVectorizer(analyzer="char", ngram_range=(1, 3)), MultinomialNB()]


def two_counts() -> list[BaseEstimator]:
    union = FeatureUnion(
        [
            ("words", CountVectorizer()),
            ("letters", CountVectorizer(analyzer="char_wb", ngram_range=(2, 3))),
        ],
        transformer_weights={"letters": 0.7},
    )
    return [union, MultinomialNB()]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [
            *[(count, accents, "str") for accents in (None, "ascii", "unicode")],
            *[(tfidf, n, sublinear, "str") for n in (1, 2, 3) for sublinear in (False, True)],
            *[(two_vectorizers, accents, "two") for accents in (None, "unicode")],
            (two_counts, "two"),
            (letters, "str"),
        ]
    ),
    text_lists,
)
def test_the_usual_pipelines_on_any_texts(case: tuple[Any, ...], given_texts: list[str]) -> None:
    pipeline, lane = compiled(*case)
    assert_equal(pipeline, lane, given_texts)


@pytest.mark.parametrize("separator", [chr(i) for i in range(0x110000) if chr(i).isspace()])
def test_every_kind_of_white_space_separates_as_in_scikit_learn(separator: str) -> None:
    for accents in (None, "ascii", "unicode"):
        pipeline, lane = compiled(count, accents, "str")
        joined = separator.join(["ΑΣ", "boneca", "\u0301pano", "Halo", "senhor\u00a8dos", "Xbox"])
        assert lane.predict([joined]) == pipeline.predict([joined]).tolist()
        ours = fast_scorer(lane.model)(joined)
        theirs = pipeline[-1].predict_joint_log_proba(pipeline[:-1].transform([joined]))
        np.testing.assert_allclose([ours], theirs, rtol=1e-12)


def test_a_tie_goes_to_the_class_that_scikit_learn_takes() -> None:
    # No word is known, and the two first classes are equally frequent.
    pipeline, lane = fit_and_compile(CountVectorizer(), MultinomialNB(fit_prior=False))
    assert lane.predict(["", "xyz", "!"]) == pipeline.predict(["", "xyz", "!"]).tolist()
    assert lane.predict([""]) == ["brinquedo"]


def test_a_tie_by_symmetry_is_decided_by_the_very_sums_of_scikit_learn() -> None:
    pipeline = make_pipeline(CountVectorizer(token_pattern=r"\w+"), MultinomialNB())
    words = [f"w{i}" for i in range(40)]
    pipeline.fit([" ".join(words), " ".join(reversed(words)), "x"], ["a", "b", "c"])
    lane = lane_of(pipeline)
    some = [" ".join(words[i:j]) for i in range(0, 40, 3) for j in range(i, 40, 5)]
    assert lane.predict(some) == pipeline.predict(some).tolist()


@pytest.mark.parametrize("vectorizer", [CountVectorizer, TfidfVectorizer])
def test_single_precision_is_answered_or_passed_on_but_never_wrong(vectorizer: Any) -> None:
    pipeline, lane = fit_and_compile(
        vectorizer(dtype=np.float32, ngram_range=(1, 2)), LogisticRegression()
    )
    answered = 0
    for text in [*TEXTS, *WORDS, "", "nada disto"]:
        try:
            assert lane.predict([text]) == pipeline.predict([text]).tolist()
            answered += 1
        except Uncertain:
            pass
    assert answered > 0.9 * (len(TEXTS) + len(WORDS))


def test_a_text_too_near_a_tie_is_passed_on_in_single_precision() -> None:
    # Both classes saw the same words, in single precision: nothing but rounding tells them apart.
    same = ["alfa beta gama delta"] * 2
    pipeline = make_pipeline(
        TfidfVectorizer(dtype=np.float32), LogisticRegression(fit_intercept=False)
    ).fit([*same, "x y"], ["a", "b", "c"])
    lane = lane_of(pipeline)
    with pytest.raises(Uncertain):
        lane.predict(["gama alfa delta beta"])


def test_long_and_repetitive_texts() -> None:
    for case in [(count, "unicode", "str"), (tfidf, 2, True, "str"), (tfidf, 3, False, "str")]:
        pipeline, lane = compiled(*case)
        long = [" ".join(TEXTS * 40), "boneca " * 3000, "x" * 100_000, "halo boneca " * 700]
        assert lane.predict(long) == pipeline.predict(long).tolist()


def test_a_memory_that_overflows_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotserve.lane.fast_scorer.MEMORY", 1)
    for steps in (count(None), tfidf(2, True), two_vectorizers(None)):
        pipeline, lane = fit_and_compile(*steps)
        many = [f"{a} {b}" for a in WORDS for b in WORDS[::25]]
        assert lane.predict(many) == pipeline.predict(many).tolist()


def test_a_batch_of_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotserve.lane.batch_scorer.STEP", 3000)
    for steps in (count("unicode"), tfidf(3, True), two_vectorizers("ascii")):
        pipeline, lane = fit_and_compile(*steps)
        many = [f"{a} {b}" for a in WORDS for b in WORDS[::15]] + ["", "halo " * 1000, ""]
        assert lane.predict(many) == pipeline.predict(many).tolist()


def test_a_batch_where_a_word_is_there_more_often_than_logarithms_are_at_hand() -> None:
    pipeline, lane = compiled(tfidf, 1, True, "str")
    many = ["halo " * 2000 + "batom", *TEXTS * 10]
    assert BatchScorer(lane.model).scores(many) is None
    assert lane.predict(many) == pipeline.predict(many).tolist()


def test_without_numpy_batches_are_answered_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotserve.lane.lane.find_spec", lambda _: None)
    pipeline, lane = fit_and_compile(*count("unicode"))
    assert lane.predict(TEXTS * 20) == pipeline.predict(TEXTS * 20).tolist()


@pytest.mark.parametrize("strip_accents", [None, "unicode"])
def test_the_slack_counts_every_term_that_a_text_can_have(strip_accents: str | None) -> None:
    vectorizer = CountVectorizer(
        analyzer="char_wb", ngram_range=(1, 3), strip_accents=strip_accents
    )
    _, lane = fit_and_compile(vectorizer, MultinomialNB())
    # One character that NFKD makes 18 of, and one that lower case makes two of.
    for text in ("ﷺ" * 50, "İ" * 50, "a " * 50):
        (leaf,) = lane.model.groups[0].leaves
        terms = len(leaf.analyzer.terms(text))
        assert slack(lane.model)(len(text)) >= 32 * 2.0**-53 * terms * terms * lane.model.largest
