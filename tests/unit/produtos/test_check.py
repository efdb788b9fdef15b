import sys
from pathlib import Path

import pytest

from produtos import check
from produtos.data import dataset, split
from produtos.grid import grid
from produtos.parameters import Parameters
from tests.support.commands import ROOT, completed

HEADER = "nome;descricao;categoria\n"
EMOJI = "no word to learn in the texts of game, livro: signs, emoji and words like de and para"


def run_check(*arguments: str) -> tuple[int, str, str, set[str]]:
    """Exit code, what it said, its error, and the libraries that it imported."""
    program = (
        "import sys, runpy\n"
        "code = 0\n"
        "try:\n"
        "    runpy.run_module('produtos.check', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        "print(*{'mlflow', 'sklearn', 'pandas', 'nltk'} & sys.modules.keys())\n"
        "sys.exit(code)\n"
    )
    done = completed([sys.executable, "-c", program, *arguments], cwd=ROOT / "trainer")
    *said, libraries = done.stdout.splitlines()
    return done.returncode, "\n".join(said), done.stderr, set(libraries.split())


def table(path: Path, rows: list[str]) -> str:
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_shipped_data_set_is_checked_without_a_library() -> None:
    code, said, error, libraries = run_check()
    assert (code, error, libraries) == (0, "", set())
    summary, categories = said.splitlines()
    assert "products, 4 categories; left out: 180 repeated" in summary
    assert categories.startswith("categories: ")
    assert sorted(categories.removeprefix("categories: ").split(", ")) == [
        *("brinquedo 1,060", "game 1,060", "livro 1,060", "maquiagem 1,060"),
    ]


def test_a_file_that_is_not_there_is_one_line() -> None:
    code, said, error, libraries = run_check("nada.csv")
    assert (code, said, libraries) == (2, "", set())
    assert "no such file" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["b;;livro", "c;;livro", "e;;game", "f;;game"], "too few to set some aside"),
        # Enough products, but the runs without names have nothing to learn from.
        (
            [f"nome {number};;{('livro', 'game')[number % 2]}" for number in range(400)],
            "include_names is não",
        ),
        # One product of a category is in the hold-out, and the other in some test splits.
        (
            [
                *(f"n{number};d{number};{('livro', 'game')[number % 2]}" for number in range(406)),
                "raro 3;um;raro",
                "raro 5;sete;raro",
            ],
            "too few to train on all 3 categories",
        ),
        ([f"{'📚' * number};;{('livro', 'game')[number % 2]}" for number in range(1, 60)], EMOJI),
        (
            [f"o de{' e' * number};para;{('livro', 'game')[number % 2]}" for number in range(60)],
            "no word to learn in the texts of game, livro: ",
        ),
        (
            [
                *(f"nome {number};texto {number};livro" for number in range(60)),
                *(f"{'🎮' * number};de;game" for number in range(1, 60)),
            ],
            "no word to learn in the texts of game: ",
        ),
        (
            [f"n{n};{f'texto {n}' if n % 2 else '🎮' * n};{'ab'[n % 2]}" for n in range(60)],
            "no word to learn in the descriptions (include_names is não) of a: ",
        ),
        # Enough products of the category, and one with a word, which some test splits take.
        (
            [
                "jogo 4;corrida;game",
                *(f"n{n};d{n};livro" for n in range(60)),
                *(f"{'🎮' * n};{'!' * n};game" for n in range(1, 99)),
            ],
            "too few to train on all 2 categories",
        ),
    ],
    ids=[
        *("four products", "no description", "a rare category", "emoji", "stop words"),
        *("a category of emoji", "descriptions of emoji", "one product with a word"),
    ],
)
def test_a_data_set_that_a_run_of_the_sweep_could_not_split_is_told_before_any_starts(
    tmp_path: Path, rows: list[str], said: str
) -> None:
    code, _, error, _ = run_check(table(tmp_path / "few.csv", rows))
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


def test_few_products_that_are_enough_pass(tmp_path: Path) -> None:
    rows = [f"n{number};d{number};{('livro', 'game')[number % 2]}" for number in range(60)]
    code, said, error, _ = run_check(table(tmp_path / "small.csv", rows))
    assert (code, error) == (0, "")
    assert "60 products, 2 categories" in said
    assert (
        "figures will not tell much: the hold-out of 7 products has 3 of game, 4 of livro" in said
    )


def test_a_rare_category_in_a_large_data_set_is_not_paid_for_ten_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"nome {n};descricao {n};{'livro' if n % 20 else 'game'}" for n in range(600)]
    data = dataset.load(table(tmp_path / "a.csv", rows))
    made = 0
    original = split.Pool

    def counted(*arguments: object) -> split.Pool:
        nonlocal made
        made += 1
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(split, "Pool", counted)
    check.check(data, grid(Parameters()))
    assert made == 2
