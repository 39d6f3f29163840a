from __future__ import annotations

from pathlib import Path

import pytest

from taskweb.errors import InputError, NameNotFoundError
from taskweb.selectors.pair_scores import PairScores, choose_table, read_pair_scores


def test_tables_by_selector(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("selector,target,source,score\na,t,s,1\nb,t,s,2\na,s,t,3\na,t,u,\n")
    tables = read_pair_scores(path)
    assert tables["a"].scores == {("t", "s"): 1.0, ("s", "t"): 3.0}
    assert tables["a"].two_way().scores[("t", "s")] == 2.0
    assert PairScores("x", {("t", "s"): 1.0}).two_way().scores == {("t", "s"): 1.0, ("s", "t"): 1.0}
    assert choose_table(tables, "b", path).scores == {("t", "s"): 2.0}
    with pytest.raises(InputError, match="several selectors"):
        choose_table(tables, None, path)
    with pytest.raises(NameNotFoundError, match="named 'c'"):
        choose_table(tables, "c", path)


def test_names_that_spreadsheets_would_run_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("selector,target,source,score\n'=a,'+t,''@s,-1\n")
    assert read_pair_scores(path)["=a"].scores == {("+t", "'@s"): -1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target,source\n", "no column 'score'. Columns found: target, source"),
        ("target,source,score\n", "contains no scores"),
        ("target,source,score\nt,s,high\n", "line 2: the score 'high' is not a number"),
        ("target,source,score\nt,s,inf\n", "not a number"),
        ("target,source,score\nt,s,1\nt,s,2\n", "line 3: .* twice"),
    ],
)
def test_faults_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_pair_scores(path)


def test_unreadable_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_pair_scores(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputError, match=r"is not UTF-8 text\. Save it as UTF-8"):
        read_pair_scores(tmp_path / "binary.csv")
