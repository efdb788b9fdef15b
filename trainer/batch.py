#!/usr/bin/env python3
"""Classify many products: `python trainer/batch.py --input a.csv --output b.csv`."""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from produtos import command

EXPERIMENT = "classificador-produtos-batch"
"""Of its own, so that jobs do not stand between the runs that are compared."""

EXAMPLES = """\
examples:
  batch.py "boneca de pano" "senhor dos aneis"
  batch.py --model Staging --input produtos.csv --output respostas.csv
  batch.py --model 2 --input s3://bucket/folder --output respostas.parquet
  batch.py --input produtos.parquet --output-table predicoes
  batch.py --compare staging production --input produtos.csv --output comparadas.csv
"""


def main() -> None:
    """Read the command line, see that it can be done, then do it."""
    from produtos.parameters import Parser

    parser = Parser(
        description="Classify many products with a registered model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(parser)
    given = parser.parse_args()

    from produtos.batch import pool
    from produtos.batch import request as requests
    from produtos.errors import BadInput

    compared, more_texts = _two_models(given.compare)
    if given.output and given.output_table:
        raise BadInput("give --output or --output-table, not both")
    output = given.output
    if given.output_table:
        output = requests.table_address(given.output_table)
    request = requests.Request(
        models=compared or (given.model or "Production",),
        texts=tuple(text for text in [*more_texts, *given.texts] if text.strip()),
        input=given.input,
        output=output,
        bad_rows=given.bad_rows,
        text_column=given.text_column or None,
        encoding=given.encoding or "utf-8",
        workers=given.workers or pool.default_workers(),
    )
    requests.check(request)

    # The heavy imports come after what can be refused without them.
    from produtos.batch import inputs, job
    from produtos.batch.record import Record
    from produtos.registry import reference as model_reference
    from produtos.runs import tracking

    opened = inputs.open_inputs(request)
    pool.preload(opened.size, request.workers)
    own_run = tracking.project_run_id()
    client = tracking.reach_registry()
    models = [model_reference.resolve(client, asked) for asked in request.models]

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if request.texts and not request.output and not own_run and not compared:
        # Trying a text or two leaves no trace, and needs no experiment.
        job.run(request, opened, models, record=None, report=report)
        return
    if not os.environ.get("MLFLOW_EXPERIMENT_ID"):
        os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    tracker = tracking.connect()
    name = f"batch {' '.join(request.models)}"
    with tracking.running(tracker, name, run_id=own_run) as run:
        job.run(request, opened, models, record=Record(tracker, run), report=report)


def _two_models(written: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The two models after --compare, as two words or in one, and what follows them."""
    from produtos.errors import BadInput

    both = written[0].replace(",", " ").split() if written else []
    rest = written[1:]
    if len(both) == 1 and rest:
        both, rest = [both[0], rest[0]], rest[1:]
    if len(both) not in (0, 2):
        raise BadInput(f"--compare {' '.join(both)}: name two models")
    return tuple(both), rest


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="the text of a product")
    parser.add_argument(
        "--model",
        metavar="VERSION|STAGE|ALIAS|URI",
        default="Production",
        help="which version of the registered model answers (default: Production)",
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        default=[],
        metavar=("MODEL", "MODEL"),
        help="two of them: both answer, and where they differ is summed up",
    )
    parser.add_argument(
        "--input",
        default="",
        metavar="ADDRESS",
        help="a CSV or Parquet file, or a folder of them; a path or s3://bucket/key",
    )
    parser.add_argument(
        "--output",
        default="",
        metavar="ADDRESS",
        help="a .csv or .parquet file (path or s3://), or mysql+pymysql://…#table "
        "(default: the screen)",
    )
    parser.add_argument(
        "--output-table",
        default="",
        metavar="NAME",
        help="a table of the database that the variable BATCH_DATABASE_URL names",
    )
    parser.add_argument(
        "--bad-rows",
        default="",
        metavar="ADDRESS",
        help="where rows that cannot be classified are listed (default: beside the output)",
    )
    parser.add_argument(
        "--text-column",
        default="",
        metavar="NAME",
        help="the column with the text (default: texto, informacao, or nome and descricao)",
    )
    parser.add_argument(
        "--encoding", default="utf-8", metavar="NAME", help="of CSV files (default: utf-8)"
    )
    parser.add_argument(
        "--workers",
        type=_workers,
        default=0,
        metavar="NUMBER",
        help="processes that classify (default: one for each core)",
    )


def _workers(written: str) -> int:
    if not (written.isascii() and written.isdigit() and int(written) <= 1024):
        raise argparse.ArgumentTypeError(f"must be a number of processes, not {written!r}")
    return int(written)


if __name__ == "__main__":
    command.run(main)
