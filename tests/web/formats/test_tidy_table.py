from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError, MissingDependencyError, TaskWebError, WebError
from taskweb.web.opening import open_web

HEADER = "source,target,setup,seed,metric,score\n"
BODY = """none,b,m/f,1,accuracy,0.5
none,b,m/f,2,accuracy,0.4
a,b,m/f,1,accuracy,0.6
a,b,m/f,2,accuracy,nan
c,b,m/f,2,accuracy,0.3
c,b,m/f,1,accuracy,0.5
"""


def written(folder: Path, text: str, name: str = "web.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_scores_of_a_tidy_web(tmp_path: Path) -> None:
    web = open_web(written(tmp_path, HEADER + BODY))
    assert (web.setups, web.targets, web.sources) == (("m/f",), ("b",), ("a", "c"))
    assert web.pc[0, 0] == pytest.approx([0.2, (-0.25 + 0) / 2])
    assert web.pm[0, 0] == pytest.approx([0.5, 0.0])  # a run without a score counts among the seeds
    assert web.t[0, 0] == pytest.approx([0.1 + 0.1 * 0.5 - 0.05, -0.0625 - 0.05])
    assert web.score[0, 0] == pytest.approx([0.6, 0.4])
    assert web.n_seeds[0, 0].tolist() == [1, 2]


def test_parquet_gives_the_same_web(tmp_path: Path) -> None:
    csv = pytest.importorskip("pyarrow.csv")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = written(tmp_path, HEADER + BODY)
    parquet.write_table(csv.read_csv(path), tmp_path / "web.parquet")
    one, other = open_web(path), open_web(tmp_path / "web.parquet")
    assert one.sources == other.sources
    assert np.array_equal(one.t, other.t, equal_nan=True)


def test_without_seeds_runs_are_compared_with_the_mean_baseline(tmp_path: Path) -> None:
    lines = [line.split(",") for line in (HEADER + BODY).splitlines()]
    web = open_web(written(tmp_path, "\n".join(",".join(cells[:3] + cells[4:]) for cells in lines)))
    assert web.pc[0, 0] == pytest.approx([(0.6 - 0.45) / 0.45, ((0.3 - 0.45) / 0.45 + (0.5 - 0.45) / 0.45) / 2])
    assert "4 runs have no baseline of their own seed" in web.notes[0]


def test_without_baselines_scores_are_standardised_per_target(tmp_path: Path) -> None:
    web = open_web(written(tmp_path, HEADER + "a,t,m/f,1,accuracy,0.6\nb,t,m/f,1,accuracy,0.8\nc,t,m/f,1,accuracy,1.0\n"))
    assert web.scale == "zscore"
    assert web.t[0, 0] == pytest.approx(np.array([-1, 0, 1]) * 1.5**0.5)
    assert web.pc is None
    assert "no baselines" in web.notes[0]


def test_names_of_metrics_as_trainers_write_them(tmp_path: Path) -> None:
    for metric in ("eval_loss", "test_loss", "dev_perplexity", "masked_lm_loss"):
        rows = f"none,t,m/f,1,{metric},2.0\na,t,m/f,1,{metric},1.0\nb,t,m/f,1,{metric},3.0\n"
        assert open_web(written(tmp_path, HEADER + rows)).pc[0, 0] == pytest.approx([0.5, -0.5])


def test_lower_is_better_for_losses_and_metrics_are_averaged(tmp_path: Path) -> None:
    web = open_web(written(tmp_path, HEADER + "none,t,m/f,1,loss,2.0\na,t,m/f,1,loss,1.0\nb,t,m/f,1,loss,3.0\n"))
    assert web.pc[0, 0] == pytest.approx([0.5, -0.5])
    rows = "none,mrpc,m/f,1,accuracy,0.5\nnone,mrpc,m/f,1,f1,0.7\n"
    rows += "a,mrpc,m/f,1,accuracy,0.6\na,mrpc,m/f,1,f1,0.9\na,mrpc,m/f,1,loss,3\n"
    assert open_web(written(tmp_path, HEADER + rows)).pc[0, 0, 0] == pytest.approx(0.25)  # the catalogue says: accuracy and F1
    with pytest.raises(WebError, match="mixes metrics"):
        open_web(written(tmp_path, HEADER + "a,t,m/f,1,loss,2.0\na,t,m/f,1,accuracy,1.0\n"))


def test_gains_of_cb_come_from_accuracy_alone(tmp_path: Path) -> None:
    rows = "none,cb,m/f,1,accuracy,0.5\na,cb,m/f,1,accuracy,0.6\na,cb,m/f,1,f1,0.2\n"
    web = open_web(written(tmp_path, HEADER + rows))
    assert web.pc[0, 0, 0] == pytest.approx(0.2)
    assert web.score[0, 0, 0] == pytest.approx(0.4)


BAD = {
    "no column": ("source,target,setup,score\n", "has no column 'metric'. Columns found: source, target"),
    "no rows": (HEADER, "contains no rows"),
    "a word for a score": (HEADER + "a,b,m/f,1,accuracy,good\n", "line 2: the score 'good' is not a number"),
    "a word for a seed": (HEADER + "a,b,m/f,one,accuracy,1\n", "line 2: the seed 'one'"),
    "an infinite score": (HEADER + "a,b,m/f,1,accuracy,inf\n", "line 2: the score 'inf' is not a number"),
    "half a seed": (HEADER + "a,b,m/f,1.5,accuracy,1\n", "line 2: the seed '1.5' is not a whole number"),
    "a setup that stands for all": (HEADER + "a,b,all,1,accuracy,1\n", "has a setup named 'all'"),
    "an empty name": (HEADER + "a,,m/f,1,accuracy,1\n", "line 2: the column 'target' is empty"),
    "a short line": (HEADER + "a,b,m/f\n", "fewer cells"),
    "a run twice": (HEADER + "a,b,m/f,1,accuracy,1\na,b,m/f,1,accuracy,0\n", "row 2: .*source a.*occurs twice"),
    "all NaN": (HEADER + "a,b,m/f,1,accuracy,nan\n", "contains no score"),
    "baselines only": (HEADER + "none,b,m/f,1,accuracy,1\n", "contains only baselines"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_webs_are_one_clear_line(case: str, tmp_path: Path) -> None:
    content, message = BAD[case]
    with pytest.raises(TaskWebError, match=message) as caught:
        open_web(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_bad_paths(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.csv", "There is no web"),
        (tmp_path, "is a folder"),
        (written(tmp_path, "x", "web.xlsx"), "of an unknown kind"),
    ):
        with pytest.raises(InputError, match=message):
            open_web(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=200) | st.text(alphabet='abn,\n"1.', max_size=200).map(lambda text: (HEADER + text).encode()),
    suffix=st.sampled_from(["csv", "tsv", "parquet"]),
)
def test_arbitrary_bytes_are_a_web_or_an_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    try:
        assert open_web(path).t.size
    except (TaskWebError, MissingDependencyError) as fault:
        assert str(fault)


def test_empty_seeds_are_unknown_in_csv_and_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    csv = pytest.importorskip("pyarrow.csv")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = "none,b,m/f,,accuracy,0.4\nNone,b,m/f,,accuracy,0.6\na,b,m/f,,accuracy,0.6\na,b,m/f,,accuracy,0.5\n"
    path = written(tmp_path, HEADER + rows + "none,c,m/f,7,accuracy,0.5\na,c,m/f,7,accuracy,0.6\n")
    parquet.write_table(csv.read_csv(path), tmp_path / "web.parquet")
    table = csv.read_csv(path)
    numbers = pyarrow.array([float("nan") if seed is None else float(seed) for seed in table["seed"].to_pylist()])
    parquet.write_table(table.set_column(table.column_names.index("seed"), "seed", numbers), tmp_path / "floats.parquet")
    for where in (path, tmp_path / "web.parquet", tmp_path / "floats.parquet"):
        web = open_web(where)
        assert web.sources == ("a",)
        assert web.pc[0, :, 0] == pytest.approx([0.1, 0.2])
        assert web.notes[0].startswith("2 runs have no baseline of their own seed")


def test_seeds_of_any_size_are_distinguished(tmp_path: Path) -> None:
    large = 2**80
    rows = "".join(f"none,b,m/f,{large + i},accuracy,0.5\na,b,m/f,{large + i},accuracy,0.6\n" for i in range(3))
    assert open_web(written(tmp_path, HEADER + rows)).n_seeds[0, 0, 0] == 3


def test_a_metric_without_any_value_does_not_count(tmp_path: Path) -> None:
    rows = "none,cb,m/f,1,accuracy,0.5\na,cb,m/f,1,accuracy,0.6\na,cb,m/f,1,f1,\n"
    assert open_web(written(tmp_path, HEADER + rows)).score[0, 0, 0] == pytest.approx(0.6)
