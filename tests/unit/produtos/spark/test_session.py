"""How Spark is set up, and what is said of what goes wrong in it."""

from pathlib import Path

import pytest

from produtos.spark import session


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ModuleNotFoundError: No module named 'skops.io'", "the cluster's Python has no skops;"),
        ("Python worker exited unexpectedly (crashed)", "for want of memory"),
        ("[PYTHON_VERSION_MISMATCH] 3.11 3.12", "set PYSPARK_PYTHON"),
        ("cannot\nstart", "cannot start"),
    ],
)
def test_what_went_wrong_on_the_cluster_is_said_in_one_line(error: str, said: str) -> None:
    reason = session._reason(RuntimeError(error))
    assert said in reason
    assert "\n" not in reason


def test_spark_s_own_file_of_settings_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert session._settings(0)["spark.executor.memory"] == "512m"
    (tmp_path / "spark-defaults.conf").write_text(
        "# ours\n\n  spark.executor.memory  2g\nspark.ui.enabled=true\n", encoding="utf-8"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    settings = session._settings(3)
    assert not {"spark.executor.memory", "spark.ui.enabled"} & settings.keys()
    assert (settings["spark.cores.max"], settings["spark.driver.memory"]) == ("3", "512m")
