#!/usr/bin/env python3
"""Classify many products: `python trainer/batch.py --input a.csv --output b.csv`."""

import argparse
import os
import sys
from io import TextIOWrapper

from produtos import command
from produtos.language import tr
from produtos.spark.master import add_options

EXPERIMENT = "classificador-produtos-batch"
"""Of its own, so that jobs do not stand between the runs that are compared."""

EXAMPLES = (
    tr("examples:")
    + """
  batch.py "boneca de pano" "senhor dos aneis"
  batch.py --model Staging --input produtos.csv --output respostas.csv
  batch.py --model 2 --input s3://bucket/folder --output respostas.parquet
  batch.py --input produtos.parquet --output-table predicoes
  batch.py --compare staging production --input produtos.csv --output comparadas.csv
"""
)

OPTIONS = {
    "--model": ("VERSION|STAGE|ALIAS|URI", "Production", tr("which registered version answers")),
    "--input": ("ADDRESS", "", tr("a CSV or Parquet file or a folder of them, or s3://bucket/key")),
    "--output": ("ADDRESS", "", tr("a .csv or .parquet file, also s3://, or a database's table")),
    "--output-table": ("NAME", "", tr("a table of the database that BATCH_DATABASE_URL names")),
    "--output-encoding": ("NAME", "utf-8", tr("utf-8-sig for a CSV that Excel opens by itself")),
    "--bad-rows": ("ADDRESS", "", tr("the list of rows that cannot be classified")),
    "--min-answered": ("SHARE", "0.25", tr("of the rows; with less the output stays as it was")),
    "--text-column": (
        "NAME",
        "",
        tr("of the text (else texto, informacao, or nome and descricao)"),
    ),
    "--encoding": ("NAME", "utf-8", tr("of CSV files")),
    "--workers": ("NUMBER", "0", tr("processes that classify; 0 for one for each core")),
}
"""For each, what stands for its value in --help, its default, and what it is."""


def main() -> None:
    """Read the command line, see that it can be done, then do it."""
    from produtos.parameters import Parser

    parser = Parser(
        description=tr("Classify many products with a registered model."),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help=tr("the text of a product"))
    compare = tr("two models: both answer, and where they differ is summed up")
    parser.add_argument("--compare", nargs="+", default=[], metavar="MODEL", help=compare)
    for name, (value, default, meaning) in OPTIONS.items():
        shown = tr(" (default: {default})").format(default=default) if default else ""
        parser.add_argument(name, default=default, metavar=value, help=meaning + shown)
    add_options(parser)
    given = parser.parse_args()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")

    from produtos.batch import request as requests

    request = requests.of(given)

    # The heavy imports come after what can be refused without them.
    from produtos.batch import inputs, job, pool
    from produtos.batch.engines import engine_of
    from produtos.batch.record import Record
    from produtos.registry import reference
    from produtos.runs import tracking

    opened = inputs.open_inputs(request)
    if not request.spark_master:
        pool.preload(opened.size, request.workers)
    own_run = tracking.project_run_id()
    client = tracking.reach_registry()
    models = [reference.resolve(client, asked) for asked in request.models]

    if request.texts and not request.output and not own_run and not given.compare:
        # Trying a text or two leaves no trace, and needs no experiment.
        with engine_of(request, opened) as engine:
            job.run(request, opened, models, engine, record=None)
        return
    if not os.environ.get("MLFLOW_EXPERIMENT_ID"):
        os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    tracker = tracking.connect()
    name = f"batch {' '.join(request.models)}"
    with (
        engine_of(request, opened) as engine,
        tracking.running(tracker, name, run_id=own_run) as run,
    ):
        job.run(request, opened, models, engine, record=Record(tracker, run))


if __name__ == "__main__":
    command.run(main)
