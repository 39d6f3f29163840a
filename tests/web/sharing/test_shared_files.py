"""What is written before a push: data card, manifest, what comes from the published web, and which texts may be shared."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.selectors.similarity import example_text
from taskweb.tasks import Example, ExampleSet, load_examples
from taskweb.web import ExampleBank
from taskweb.web.bank import EncoderStamp, load_bank
from taskweb.web.published import published_bank, published_web
from taskweb.web.records.run import SetupRecord
from taskweb.web.sharing.derivation import derived_from
from taskweb.web.sharing.reference import HubWeb
from taskweb.web.sharing.shared_files import PackedWeb, Shared, pack
from taskweb.web.sharing.shared_manifest import MANIFEST_FILE, SharedFile, can_be_shared, read_manifest
from taskweb.web.sharing.text_licences import may_be_shared, refuse_misspelt
from taskweb.workflows.sharing_webs import ShareSettings, _licence
from tests.conftest import made_up_web
from tests.web.made_up_runs import simple_run
from tests.web.sharing.hub import runs

WEB = HubWeb("me/my-web")


def packed(folder: Path, shared: Shared | None = None) -> PackedWeb:
    pytest.importorskip("pyarrow")
    return pack(WEB, runs(), shared or Shared(), folder)


def test_the_card_says_what_was_measured_and_how(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    made = packed(tmp_path, Shared(licence="cc-by-4.0", citation="Doe, 2026 *"))
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert (metadata["license"], metadata["configs"][0]["data_files"][0]["path"]) == ("cc-by-4.0", "data/*.parquet")
    assert "license_name" not in metadata
    for line in (
        "- 13 fine-tuning runs, of which 1 failed; 4 of them are baselines, without a source",
        "- 4 pairs of source and target in 1 setup, seeds 1, 2, 3",
        "- 6.0 hours of training and evaluation",
        "- measured with torch 2.9",
        "| `boolq` | source | classification |  | CC BY-SA 3.0 | Clark et al., 2019 (arXiv:1905.10044) |",
        "| `mine` | target |  | `accuracy` | unstated |  |",
        "| `m/finetune` | `some/m` | abc | finetune | epochs 3 | 13 |",
        "taskweb rank my_task.jsonl --web hf:me/my-web ",
        "The figures: cc-by-4.0.",
        r"Doe, 2026 \*",
    ):
        assert line in card, line
    assert "published TaskWeb" not in card
    assert read_manifest(tmp_path / MANIFEST_FILE, "it") == made.manifest
    assert made.manifest.files == {"data/runs-00000.parquet": SharedFile.of(tmp_path / "data/runs-00000.parquet")}


def test_names_of_others_are_no_markup_in_a_card(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    setup = SetupRecord("a|b`/<script>", model="x|y", method="<img src=x>", hyperparameters={"[a](b)": 1})
    pack(WEB, [simple_run(setup=setup, target="t|`<b>")], Shared(), tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in card.splitlines() if line.startswith("| `a")]
    assert row == r"| `a/b'/<script>` | `x/y` |  | \<img src=x\> | \[a\](b) 1 | 1 |"


def test_a_web_with_figures_of_the_published_one_gives_credit(tmp_path: Path) -> None:
    published = published_web()
    part = published.restrict(setups=["t5l/finetune"], targets=["rte", "boolq"], sources=["snli", "imdb"])
    assert derived_from(part) == ("published",)
    other = dataclasses.replace(part, score=None if part.score is None else part.score + 1e-4)
    assert derived_from(other) == derived_from(made_up_web()) == ()
    assert _licence(ShareSettings(), ("published",)) == "cc-by-4.0"
    assert _licence(ShareSettings(licence="CC-BY-4.0"), ("published",)) == "cc-by-4.0"
    with pytest.raises(ParameterError, match=r"figures of the published one, .* so --licence cannot be mit"):
        _licence(ShareSettings(licence="mit"), ("published",))
    packed(tmp_path, Shared("cc-by-4.0", None, ("published",)))
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "those of the published TaskWeb (arXiv:2305.13256), used under CC BY 4.0" in card
    assert "The published TaskWeb: arXiv:2305.13256." in card


def test_texts_and_vectors_are_the_same_when_they_are_read_again(tmp_path: Path) -> None:
    rows = (
        Example("Two\nlines", "yes", ("yes", "no")),
        Example("Free?", "a", references=("a", "b")),
        Example("Unlabelled", None, ("yes", "no")),
    )
    given = published_bank()
    vectors = {"rte": given.vectors["rte"], "boolq": given.vectors["boolq"][:7]}
    assert given.stamp is not None
    stamp = EncoderStamp("enc", 128, given.stamp.probes)
    shared = Shared(
        texts={"rte": ExampleSet("rte", rows, "here")}, text_licences={"rte": "mit"}, bank=ExampleBank(vectors, stamp)
    )
    made = packed(tmp_path, shared)
    assert set(made.manifest.files) == {"data/runs-00000.parquet", "bank.json", "bank.npy", "texts/rte.jsonl"}
    assert made.manifest.tasks["rte"].texts == 3
    assert made.manifest.tasks["rte"].licence == "mit"
    read = load_examples(tmp_path / "texts" / "rte.jsonl").examples
    assert [(example_text(row), row.accepted) for row in read] == [(example_text(row), row.accepted) for row in rows]
    bank = load_bank(tmp_path / "bank")
    assert {task: bank.of(task).tobytes() for task in bank.tasks} == {
        task: ExampleBank(vectors).of(task).tobytes() for task in vectors
    }
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert 'license: "other"\nlicense_name: mixed' in card
    assert "- up to 3 examples of 1 task\n" in card


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        *(
            (name, True)
            for name in ("CC BY 4.0", "cc-by-sa-3.0", "CC BY-NC 4.0", "CC0 1.0", "MIT", "Apache-2.0", "BSD-2-Clause")
        ),
        *((name, True) for name in ("AFL-3.0", "odc-by", "Public Domain", "gpl 3.0")),
        *(
            (name, False)
            for name in ("unstated", "", "CC BY-ND 4.0", "cc-by-nc-nd-4.0", "cc-by-nd4", "Quora terms, non-commercial", "other")
        ),
        *((name, False) for name in ("on request from the authors", "mitigated", "ccc by 4.0")),
    ],
)
def test_which_licences_allow_to_share_texts(licence: str, allowed: bool) -> None:
    assert may_be_shared(licence) is allowed


@pytest.mark.parametrize(("licence", "meant"), [("mitt", "mit"), ("CC-BI-4.0", "cc-by-4.0"), ("Apach 2.0", "apache-2.0")])
def test_misspelt_licences_are_refused_with_the_one_that_is_meant(licence: str, meant: str) -> None:
    with pytest.raises(NameNotFoundError, match=rf"no licence on the Hub named '{licence}'\. Did you mean '{meant}'\?"):
        refuse_misspelt(licence)


@pytest.mark.parametrize("licence", ["mpl-2.0", "MIT", "llama5", "eupl-1.3", "cc-by-nd-3.0", "research", "on request", "other"])
def test_licences_that_are_no_misspelling(licence: str) -> None:
    refuse_misspelt(licence)


def test_names_of_tasks_that_can_be_files() -> None:
    assert all(map(can_be_shared, ("rte", "super-glue v2.1", "größe", "模型", "a+b", "0")))
    assert not any(map(can_be_shared, ("", ".rte", "a/b", "a\\b", "..", "a..b", "-x", "a\nb", "a" * 300)))


def test_a_web_without_runs_is_not_pushed(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(ParameterError, match=r"There are no runs to push\."):
        pack(WEB, [], Shared(), tmp_path)


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    packed(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST_FILE).read_text(encoding="utf-8"))
    assert {"format", "runs", "files", "units", "tasks", "setups", "licence", "citation", "derived_from"} <= set(manifest)
