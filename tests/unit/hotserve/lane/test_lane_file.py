"""A compiled file: small to open, and refused with one clear line when it is not what it was."""

import os
import pickletools
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from hotserve.lane import Lane, LaneError, container
from hotserve.lane.compile import compile_pipeline
from hotserve.lane.term_table import TermTable, build
from tests.support.commands import completed
from tests.unit.hotserve.lane.lane_corpus import LABELS, TEXTS


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lane") / "model.lane"
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
    compile_pipeline(pipeline.fit(TEXTS, LABELS), path)
    return path


def changed(header: dict[str, Any], **change: object) -> dict[str, Any]:
    """The header with other fields of its model."""
    return {**header, "model": {**header["model"], **change}}


def test_a_process_of_another_user_may_read_it(compiled: Path) -> None:
    assert compiled.stat().st_mode & 0o777 == 0o644


def test_a_cut_file_is_refused_wherever_it_is_cut(compiled: Path, tmp_path: Path) -> None:
    content = compiled.read_bytes()
    cut = tmp_path / "cut.lane"
    chance = random.Random(1)
    for length in [
        0,
        1,
        7,
        8,
        19,
        20,
        21,
        len(content) - 1,
        *chance.sample(range(len(content)), 60),
    ]:
        cut.write_bytes(content[:length])
        with pytest.raises(LaneError, match=r"cut\.lane"):
            Lane(cut)


def test_a_changed_byte_is_noticed(compiled: Path, tmp_path: Path) -> None:
    content = compiled.read_bytes()
    damaged = tmp_path / "damaged.lane"
    chance = random.Random(2)
    for place in [*range(24), *chance.sample(range(len(content)), 60)]:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        damaged.write_bytes(changed)
        with pytest.raises(LaneError):
            Lane(damaged)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "too short"),
        (b"PK\x03\x04" + bytes(100), "not a compiled model"),
        (b"\x80\x04}." * 50, "not a compiled model"),
        (b"HSLANE2\n" + bytes(100), "of this version of hotserve"),
        (container.MAGIC[:-1] + b"?" + bytes(100), "machine of this kind"),
    ],
)
def test_a_file_of_another_kind(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(LaneError, match=says):
        Lane(path)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(LaneError, match="No such file"):
        Lane(tmp_path / "none.lane")
    with pytest.raises(LaneError, match="directory"):
        Lane(tmp_path)


def test_a_sound_file_with_a_wrong_header(compiled: Path, tmp_path: Path) -> None:
    header, _ = container.read(compiled)
    path = tmp_path / "model.lane"
    headers: list[tuple[dict[str, Any], str]] = [
        ({**header, "unicode": "3.2.0"}, r"Unicode 3\.2\.0"),
        (changed(header, classes=[]), "differ in length"),
        (changed(header, groups=None), "not complete"),
        (changed(header, groups=[{}]), "not complete"),
        (changed(header, columns=7), "differ in length"),
        (changed(header, intercept="abc"), "differ in length"),
        (changed(header, colours=3), "not complete"),
        ({}, "Unicode None"),
        ({"unicode": header["unicode"]}, "not complete"),
    ]
    for wrong, says in headers:
        container.write(path, wrong)
        with pytest.raises(LaneError, match=f"^{path}.*{says}"):
            Lane(path)


def test_arrays_that_do_not_fit_together(compiled: Path, tmp_path: Path) -> None:
    header, _ = container.read(compiled)
    path = tmp_path / "model.lane"
    (group,) = header["model"]["groups"]
    short = {**group, "rows": group["rows"][:-1]}
    for wrong in (
        changed(header, coefficients=header["model"]["coefficients"][:-1]),
        changed(header, groups=[short]),
    ):
        container.write(path, wrong)
        with pytest.raises(LaneError, match="differ in length"):
            Lane(path)


def test_a_header_that_points_beside_the_arrays(tmp_path: Path) -> None:
    path = tmp_path / "model.lane"
    for array in ([0, 3, "d"], [0, 8, "no format"], [0], "text", 7):
        container.write(path, {"there": bytes(16), "wrong": {"array": array}})
        with pytest.raises(LaneError, match="its header can't be read"):
            Lane(path)


def test_the_file_holds_no_pickle(compiled: Path) -> None:
    content = compiled.read_bytes()
    assert b"pickle" not in content
    with pytest.raises(ValueError, match="opcode"):
        list(pickletools.genops(content[:4096]))


def test_who_has_the_old_file_open_keeps_it_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model.lane"
    vectorizer, classifier = TfidfVectorizer(), LogisticRegression()
    compile_pipeline(make_pipeline(vectorizer, classifier).fit(TEXTS, LABELS), path)
    lane = Lane(path)
    answers = lane.predict(TEXTS)
    shifted = [*LABELS[4:], *LABELS[:4]]
    compile_pipeline(make_pipeline(vectorizer, classifier).fit(TEXTS, shifted), path)
    assert Lane(path).predict(TEXTS) != answers
    path.write_bytes(path.read_bytes())
    assert lane.predict(TEXTS) == answers
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def test_a_worker_needs_only_the_standard_library(compiled: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from hotserve.lane import Lane\n"
        "lane = Lane(sys.argv[2])\n"
        "print(lane.predict_json(['Halo 5', 'senhor dos anéis']).decode())\n"
        "print(sorted({'numpy', 'scipy', 'sklearn', 'mlflow', 'pandas', 'yaml', 'skops'}"
        " & set(sys.modules)))"
    )
    package = Path(container.__file__).parents[2]
    done = completed(
        [sys.executable, "-I", "-S", "-c", script, str(package), str(compiled)], check=True
    )
    assert done.stdout.splitlines() == ['{"predictions": ["game", "livro"]}', "[]"]


def test_terms_are_found_and_others_are_not(tmp_path: Path) -> None:
    terms = ["", " ", "a", "á", "a\u0301", "日本", "\ud800", "a b", *map(str, range(3000))]
    path = tmp_path / "table"
    container.write(path, build(terms))
    table = TermTable(container.read(path)[0])
    assert len(table) == len(terms)
    for place, term in enumerate(terms):
        assert table.find(term) == place
        assert table.term(place) == term
    for term in ["A", "aa", "3000", "-1", "\udc00", "a  b", "00"]:
        assert table.find(term) is None
