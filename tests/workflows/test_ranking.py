from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import taskweb
from scripts.tabulate_languages import LATIN, OTHER_SCRIPTS
from taskweb.cli.tables.ranking_answers import ranking_answer
from taskweb.errors import EncoderError, InputError, NameNotFoundError, ParameterError
from taskweb.selectors import Ranking
from taskweb.selectors.benchmark import DrawSettings
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.similarity import example_text
from taskweb.server.recommendation import recommended
from taskweb.tasks import Columns, Example, ExampleSet
from taskweb.tasks.overflow import CutReport
from taskweb.web.published import published_bank, published_web
from taskweb.workflows.benchmarking import run_benchmark
from taskweb.workflows.demo import demo_target
from taskweb.workflows.embedding import Embedder
from taskweb.workflows.own_candidates import own_notes, with_distinct_names
from taskweb.workflows.rank_settings import TargetSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings
from tests.damage import damaged
from tests.selectors.encoder.test_sentence_encoder import checkpoint

pytestmark = pytest.mark.usefixtures("encoder")
EXAMPLES = [
    Example(f"Premise: it is {w}. Hypothesis: it is warm. Entailed?", None, ("yes", "no")) for w in ("hot", "cold", "mild")
]


def write_examples(path: Path, texts: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"input": text, "choices": ["yes", "no"]}) + "\n" for text in texts))
    return path


def test_examples_in_memory_and_in_a_file_rank_alike(tmp_path: Path) -> None:
    path = write_examples(tmp_path / "t.jsonl", [example.input for example in EXAMPLES])
    one, other = taskweb.rank(EXAMPLES), taskweb.rank(path)
    assert [s.task for s in one.sources] == [s.task for s in other.sources]
    assert one.n_examples == 3
    assert set(one.top(22)) == set(published_web().sources)
    assert any("only 3 target examples" in note for note in one.notes)


def test_a_sentiment_target_is_most_like_sentiment_sources() -> None:
    reviews = [
        Example(f"{w}, what a film! Is this review positive or negative?", None, ("positive", "negative"))
        for w in ("Great", "Dull", "Loud")
    ]
    assert set(taskweb.rank(reviews, selector="roe").top(2)) == {"imdb", "rotten_tomatoes"}


def test_a_task_of_the_web_answers_with_its_own_row() -> None:
    ranking = rank("rte", setup="t5l/finetune")
    web = published_web()
    row = web.transfer("t5l/finetune")[web.target_index("rte")]
    assert ranking.selector == "measured"
    assert ranking.sources[0].task == web.sources[int(np.nanargmax(row))]
    assert ranking.sources[0].score == np.nanmax(row)
    assert "rte" not in ranking.top(30)
    assert "own measured transfers" in ranking.notes[0]


def test_unseen_hides_it() -> None:
    ranking = rank("rte", unseen=True)
    assert ranking.selector == "blend"
    assert ranking.target == "rte"
    assert "rte" not in {p.task for s in ranking.sources for p in s.pivots} | set(ranking.top(30))


def test_an_unseen_task_may_be_the_only_one_with_texts_or_the_only_one_without(tmp_path: Path) -> None:
    scores = {(s, t): 0.7 if s == "r" else 0.5 + 0.01 * ord(s) % 0.1 for s in "pqrs" for t in "pqrs" if s != t}
    web = tmp_path / "web.csv"
    lines = [f"none,{t},m/f,1,accuracy,0.5" for t in "pqrs"]
    lines += [f"{s},{t},m/f,1,accuracy,{x}" for (s, t), x in scores.items()]
    web.write_text("source,target,setup,seed,metric,score\n" + "\n".join(lines) + "\n")
    write_examples(tmp_path / "texts" / "p.jsonl", [f"text {i}" for i in range(5)])
    for target in "pq":
        ranking = rank(target, web=web, examples=tmp_path / "texts", unseen=True)
        assert ranking.top(1) == ("r",)
    with pytest.raises(taskweb.TaskWebError, match="no task in the embedding bank named 'q'"):
        rank("q", web=web, examples=tmp_path / "texts", unseen=True, selector="roe")


def test_a_file_named_like_a_task_is_unseen(tmp_path: Path) -> None:
    path = write_examples(tmp_path / "rte.jsonl", [example.input for example in EXAMPLES])
    ranking = rank(path)
    assert ranking.target == "rte"
    assert "rte" in ranking.top(30)


def test_excluded_tasks_are_neither_sources_nor_pivots() -> None:
    ranking = rank(EXAMPLES, exclude=["snli", "cb"])
    named = set(ranking.top(30)) | {p.task for s in ranking.sources for p in s.pivots}
    assert not named & {"snli", "cb"}
    assert any("excluded" in note for note in ranking.notes)
    with pytest.raises(NameNotFoundError, match="Did you mean 'snli'"):
        rank(EXAMPLES, exclude=["snlii"])


def test_own_candidates_join_the_ranking(tmp_path: Path) -> None:
    write_examples(
        tmp_path / "own" / "weather.jsonl", [f"Premise: it is {w}. Hypothesis: it is cold. Entailed?" for w in ("icy", "warm")]
    )
    write_examples(tmp_path / "own" / "snli.jsonl", ["What is two plus two?"])
    ranking = rank(EXAMPLES, sources=tmp_path / "own")
    own = {source.task: source for source in ranking.sources if not source.measured}
    assert set(own) == {"weather", "snli (own)"}
    assert own["weather"].similarity > own["snli (own)"].similarity
    assert len(ranking) == 24
    assert any("has the name of a task" in note for note in ranking.notes)
    assert len(rank("rte", sources=tmp_path / "own", unseen=True)) == 23
    with pytest.raises(InputError, match="Add --unseen"):
        rank("rte", sources=tmp_path / "own")


def test_a_web_of_ones_own_needs_its_texts(tmp_path: Path) -> None:
    web = tmp_path / "web.csv"
    web.write_text(
        "source,target,setup,seed,metric,score\n"
        + "".join(f"none,{t},m/f,1,accuracy,0.5\n" for t in ("p", "q"))
        + "".join(
            f"{s},{t},m/f,1,accuracy,{x}\n" for s, t, x in (("p", "q", 0.6), ("q", "p", 0.4), ("r", "p", 0.7), ("r", "q", 0.7))
        )
    )
    assert rank(EXAMPLES, web=web, selector="popularity").top(1) == ("r",)
    with pytest.raises(taskweb.TaskWebError, match="Give --examples DIR"):
        rank(EXAMPLES, web=web, selector="taskshop")
    blind = rank(EXAMPLES, web=web)
    assert blind.top(1) == ("r",)
    assert any("ranked by popularity alone" in note for note in blind.notes)
    texts = {
        name: write_examples(tmp_path / "texts" / f"{name}.jsonl", [f"text {i} of task {name}" for i in range(5)])
        for name in "pqr"
    }
    ranking = rank(EXAMPLES, web=web, examples=tmp_path / "texts")
    assert set(ranking.top(3)) == {"p", "q", "r"}
    texts["r"].unlink()
    ranking = rank(EXAMPLES, web=web, examples=tmp_path / "texts", selector="taskshop")
    assert set(ranking.top(3)) == {"p", "q"}
    assert any("not ranked because they have no examples: r" in note for note in ranking.notes)
    ranking = rank(EXAMPLES, web=web, examples=tmp_path / "texts")
    assert set(ranking.top(3)) == {"p", "q", "r"}
    assert "no examples of r: ranked by transfers alone" in ranking.notes
    write_examples(tmp_path / "others" / "x.jsonl", ["text"])
    with pytest.raises(InputError, match="no examples of the web's tasks"):
        rank(EXAMPLES, web=web, examples=tmp_path / "others")


def test_without_a_web_texts_alone_rank_own_candidates(tmp_path: Path) -> None:
    write_examples(tmp_path / "own" / "weather.jsonl", [f"Premise: it is {w}. Hypothesis: it is cold." for w in ("icy", "wet")])
    write_examples(tmp_path / "own" / "sums.jsonl", ["What is two plus two?", "What is three plus one?"])
    ranking = rank(EXAMPLES, web="none", sources=tmp_path / "own")
    assert ranking.top(2) == ("weather", "sums")
    assert any("only the similarity of texts counts" in note for note in ranking.notes)
    with pytest.raises(taskweb.TaskWebError, match="No candidate sources"):
        rank(EXAMPLES, web="none")


def test_parameters_that_the_selector_lacks_are_refused() -> None:
    with pytest.raises(taskweb.TaskWebError, match="Only TaskShop has --lambda, --n-pivots, not the selector 'blend'"):
        rank(EXAMPLES, selector_settings=SelectorSettings(lam=0.2, n_pivots=3))


def test_pair_scores_are_refused_where_nothing_reads_them(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("target,source,score\ntarget,snli,3\ntarget,imdb,-3\n")
    settings = SelectorSettings(pair_scores=str(table))
    for selector in ("blend", "taskshop"):
        with pytest.raises(ParameterError, match=f"'{selector}' does not read --pair-scores. Add --selector llm"):
            rank(EXAMPLES, selector=selector, selector_settings=settings)
    with_base = SelectorSettings(pair_scores=str(table), base="llm", lam=0.0)
    assert rank(EXAMPLES, selector="taskshop", selector_settings=with_base).sources[0].task == "snli"


def test_an_encoder_that_does_not_fit_the_bank_is_refused(tmp_path: Path) -> None:
    small = checkpoint(tmp_path / "small")
    with pytest.raises(EncoderError, match="vectors of 16 numbers, but the vectors of the embedding bank have 384"):
        rank(EXAMPLES, encoder=EncoderSettings(str(small)))
    with pytest.raises(EncoderError, match="--max-tokens is 64"):
        rank(EXAMPLES, encoder=EncoderSettings(max_tokens=64))
    texts = {
        name: write_examples(tmp_path / "texts" / f"{name}.jsonl", [f"the cat {name}"]) for name in published_web().sources
    }
    assert len(rank(EXAMPLES, encoder=EncoderSettings(str(small)), examples=tmp_path / "texts")) == len(texts)


def test_an_encoder_reads_as_many_tokens_as_it_states(
    encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(encoder.folder)
    assert json.loads((encoder.folder / "sentence_bert_config.json").read_text())["max_seq_length"] == 256
    assert SentenceEncoder.find().max_tokens == 512
    assert SentenceEncoder.find(where).max_tokens == 256
    assert SentenceEncoder.find(where, max_tokens=64).max_tokens == 64
    assert EncoderSettings(where).embedder(published_bank()).encoder.max_tokens == 512  # as the bank was made
    named, default = rank(EXAMPLES, selector="roe", encoder=EncoderSettings(where)), rank(EXAMPLES, selector="roe")
    assert [(s.task, s.score) for s in named.sources] == [(s.task, s.score) for s in default.sources]
    small = checkpoint(tmp_path / "e")
    for stated, wanted in ((None, 512), (128, 128), (8192, 512), (2, 8), ("x", 512)):
        (small / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": stated}))
        assert SentenceEncoder.find(str(small)).max_tokens == wanted
    (small / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    monkeypatch.setenv("TASKWEB_ENCODER", str(small))
    assert SentenceEncoder.find().max_tokens == 20


def test_a_prompt_is_part_of_what_is_compared(tmp_path: Path) -> None:
    small = str(checkpoint(tmp_path / "e"))
    for name in published_web().sources:
        write_examples(tmp_path / "texts" / f"{name}.jsonl", [f"the cat sat on {name}", "dogs barked"])
    settings = [EncoderSettings(small, prompt=prompt) for prompt in (None, "it rained and ")]
    plain, prompted = (rank(EXAMPLES, selector="roe", encoder=own, examples=tmp_path / "texts") for own in settings)
    assert [s.score for s in plain.sources] != [s.score for s in prompted.sources]
    with pytest.raises(EncoderError, match="does not fit the embedding bank"):
        rank(EXAMPLES, encoder=EncoderSettings(prompt="the weather is fine and sunny: "))


def test_vectors_of_unchanged_examples_come_from_the_cache(
    encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Embedder(encoder, tmp_path / "cache")
    target = demo_target()
    first = embedder.embed([target]).vectors[target.name]
    assert embedder.count_missing([target]) == 0
    monkeypatch.setattr(SentenceEncoder, "_tokenised", lambda *_a, **_k: pytest.fail("tokenized again"))
    assert np.array_equal(embedder.embed([target]).vectors[target.name], first)


def test_what_the_encoder_cut_is_cached_with_the_vectors(
    encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Embedder(encoder, tmp_path / "cache")
    texts = ExampleSet("long", (Example("word " * 900), Example("word"), Example("word " * 700)), "here")
    found = embedder.embed([texts])
    (file,) = (tmp_path / "cache").iterdir()
    special = encoder.count_tokens(["None</s>"])  # and two special tokens
    cut = CutReport(3, 2, 0, 900 + 700 + 2 * special - 2 * 512, 900 + special - 512, 512)
    assert found.cut == {"long": cut}
    whole = file.read_bytes()
    file.unlink()
    np.save(file.with_suffix(".npy"), found.vectors["long"])  # as version 0.1 wrote it: nothing was counted
    monkeypatch.setattr(SentenceEncoder, "encode_and_count", lambda *_a, **_k: pytest.fail("encoded again"))
    assert embedder.count_missing([texts]) == 0
    assert embedder.embed([texts]).cut == {"long": cut}
    assert file.read_bytes() == whole
    assert list((tmp_path / "cache").iterdir()) == [file]
    monkeypatch.setattr(SentenceEncoder, "_tokenised", lambda *_a, **_k: pytest.fail("tokenized again"))
    assert embedder.embed([texts]).cut == {"long": cut}


def test_a_ranking_says_what_the_encoder_cut(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "e")  # reads 40 tokens
    target = [Example("cat " * 100), Example("cat")]
    texts = {name: write_examples(tmp_path / "texts" / f"{name}.jsonl", ["the cat " * 40]) for name in published_web().sources}
    small = EncoderSettings(str(folder), use_cache=False)
    ranking = rank(target, encoder=small, examples=tmp_path / "texts")
    assert ranking.cut is not None
    assert ranking.cut.target is not None
    assert ranking.cut.sources is not None
    assert (ranking.cut.target.inputs, ranking.cut.target.cut, ranking.cut.target.limit) == (2, 1, 40)
    assert ranking.cut.target.tokens == SentenceEncoder(folder).lost_tokens([example_text(target[0])])[0] > 0
    assert ranking.cut.sources.cut == ranking.cut.sources.inputs == len(texts)
    notes = [note for note in ranking.notes if "sentence encoder" in note]
    assert len(notes) == 1
    assert "reads 40 tokens of a text, and cut 1 of 2 texts of the target" in notes[0]
    assert f"{len(texts)} of {len(texts)} texts of the sources" in notes[0]
    assert ranking.to_dict()["cut"] == {"target": ranking.cut.target.to_dict(), "sources": ranking.cut.sources.to_dict()}
    web_task = rank(next(iter(texts)), unseen=True, encoder=small, examples=tmp_path / "texts").cut
    assert web_task is not None
    assert web_task.target is not None
    assert (web_task.target.inputs, web_task.target.cut) == (1, 1)


def test_a_benchmark_says_what_the_encoder_cut(tmp_path: Path) -> None:
    small = EncoderSettings(str(checkpoint(tmp_path / "e")), use_cache=False)
    tasks = published_web().tasks
    for name in tasks:
        write_examples(tmp_path / "texts" / f"{name}.jsonl", [f"the cat {name}", "the cat " * 40])
    settings = DrawSettings(draws=1, target_examples=2, source_examples=2)
    result = run_benchmark(
        examples=tmp_path / "texts", selectors=("roe",), targets=("rte",), draws=settings, encoder=small, setup="t5l/finetune"
    )
    assert result.cut is not None
    assert (result.cut.inputs, result.cut.cut, result.cut.limit) == (2 * len(tasks), len(tasks), 40)
    assert result.to_dict()["cut"] == result.cut.to_dict()
    assert sum(f"cut {len(tasks)} of {2 * len(tasks)} texts of the tasks" in note for note in result.notes) == 1
    assert "cut" not in run_benchmark(selectors=("popularity",), targets=("rte",), setup="t5l/finetune").to_dict()


def test_a_task_of_the_web_with_the_target_s_examples_is_named(encoder: SentenceEncoder, tmp_path: Path) -> None:
    first, *_ = sources = published_web().sources
    for number, name in enumerate(sources):
        write_examples(tmp_path / f"{name}.jsonl", [f"Text {number}, line {line}: {name}" for line in range(6)])
    own = [Example(f"Text 0, line {line}: {first}", None, ("yes", "no")) for line in range(3)]
    told = rank(own, selector="roe", examples=tmp_path).notes
    (note,) = (note for note in told if "the target's own examples" in note)
    assert note == (
        f"{first} of the web has 3 of the target's own examples: where it is the same task, leave it out with --exclude {first}"
    )
    for left in ([*own[:1], Example("Another text.")], [Example("Another text.")]):
        assert not any("own examples" in note for note in rank(left, selector="roe", examples=tmp_path).notes)
    assert not any("own examples" in note for note in rank(own, selector="roe", examples=tmp_path, exclude=[first]).notes)


def plain_answer(ranking: Ranking) -> str:
    return " ".join(" ".join(line.plain for line in ranking_answer(ranking, 80)).split())


def test_a_ranking_says_whose_texts_the_encoder_cannot_read(encoder: SentenceEncoder, tmp_path: Path) -> None:
    russian, english = list(OTHER_SCRIPTS["Russian"]), list(LATIN["English"])
    ranking = rank([Example(text, None, ("yes", "no")) for text in russian])
    (note,) = (note for note in ranking.notes if "sentence encoder" in note)
    assert note.startswith(
        "the sentence encoder can hardly read the texts of the target (5.5 pieces a word, 97% of them single"
    )
    found = ranking.to_dict()["readability"]
    assert plain_answer(ranking).endswith("How sure: a guess: the sentence encoder can hardly read your examples, see the note")
    assert recommended(ranking).sure[0].startswith("The sentence encoder can hardly read your examples: treat the order")
    assert found["target"] == {**encoder.readability(russian).to_dict(), "readable": False}
    assert found["sources"] == {"read": 0, "unreadable": []}  # the published web has vectors, no texts
    assert found["web"]["pieces_per_word"] == pytest.approx(1.065)

    texts = tmp_path / "texts"
    for i, name in enumerate(published_web().sources):
        write_examples(texts / f"{name}.jsonl", russian if i == 0 else english)
    own = [ExampleSet("greek", tuple(map(Example, OTHER_SCRIPTS["Greek"])), "here")]
    mixed = rank([Example(text) for text in english], selector="roe", examples=texts, sources=own)
    first = published_web().sources[0]
    assert mixed.readability is not None
    assert mixed.readability.unreadable_sources == (first, "greek")
    assert any(f"can hardly read the texts of 2 of 23 sources ({first}, greek). Similarity" in note for note in mixed.notes)
    unseen = rank(first, unseen=True, selector="roe", examples=texts).readability
    assert unseen is not None
    assert (unseen.is_target_readable, unseen.unreadable_sources) == (False, ())
    settings = DrawSettings(draws=1, target_examples=2, source_examples=2)
    result = run_benchmark(examples=texts, selectors=("roe",), targets=("rte",), draws=settings, setup="t5l/finetune")
    assert result.to_dict()["readability"]["sources"] == {"read": 22, "unreadable": [first]}  # type: ignore[index]
    assert any(f"1 of 22 sources ({first})" in note for note in result.notes)
    assert "readability" not in run_benchmark(selectors=("popularity",), targets=("rte",), setup="t5l/finetune").to_dict()


def test_how_texts_are_read_is_cached_with_the_vectors(
    encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Embedder(encoder, tmp_path / "cache")
    texts = ExampleSet("greek", tuple(map(Example, OTHER_SCRIPTS["Greek"])), "here")
    found = embedder.embed([texts])
    assert found.read == {"greek": encoder.readability(OTHER_SCRIPTS["Greek"])}
    (file,) = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    file.unlink()
    with file.with_suffix(".npy").open("wb") as older:  # as an earlier version wrote it
        np.save(older, found.vectors["greek"])
        np.save(older, np.zeros(len(texts), np.int32))
    monkeypatch.setattr(SentenceEncoder, "_tokenised", lambda *_a, **_k: pytest.fail("tokenized again to embed or count"))
    assert embedder.embed([texts]).read == found.read
    assert file.read_bytes() == whole
    monkeypatch.setattr(SentenceEncoder, "readability", lambda *_a, **_k: pytest.fail("counted again"))
    assert embedder.embed([texts]).read == found.read


def test_nothing_cut_says_nothing() -> None:
    ranking = rank(EXAMPLES)
    assert ranking.to_dict()["cut"]["target"]["cut"] == 0
    assert ranking.to_dict()["cut"]["sources"] is None  # the published web has vectors, no texts
    assert not any("sentence encoder" in note for note in ranking.notes)
    assert ranking.readability is not None
    assert ranking.readability.is_target_readable
    assert not {"cut", "readability"} & rank("rte").to_dict().keys()


def test_a_cache_that_is_broken_or_read_only_is_ignored(encoder: SentenceEncoder, tmp_path: Path) -> None:
    target = demo_target()
    embedder = Embedder(encoder, tmp_path / "cache")
    first = embedder.embed([target]).vectors[target.name]
    (file,) = (tmp_path / "cache").iterdir()
    content = file.read_bytes()
    for seed in range(100):
        file.write_bytes(damaged(content, seed))
        assert embedder.count_missing([target]) == (len(target) if file.read_bytes() != content else 0)
    file.write_bytes(b"broken")
    assert np.array_equal(embedder.embed([target]).vectors[target.name], first)
    (tmp_path / "file").write_text("in the way")
    assert np.array_equal(Embedder(encoder, tmp_path / "file").embed([target]).vectors[target.name], first)


def test_the_embedded_bank_was_made_by_this_encoder(encoder: SentenceEncoder) -> None:
    published_bank().stamp.require_match(Embedder(encoder).stamp, "")


def test_a_file_named_like_a_task_finds_its_row_in_a_table_of_judgements(tmp_path: Path) -> None:
    path = write_examples(tmp_path / "rte.jsonl", [example.input for example in EXAMPLES])
    table = tmp_path / "judged.csv"
    table.write_text("target,source,score\nrte,snli,3\nrte,imdb,-3\n")
    ranking = rank(path, selector="llm", selector_settings=SelectorSettings(pair_scores=str(table)))
    assert (ranking.sources[0].task, ranking.sources[-1].task) == ("snli", "imdb")


def test_a_short_file_is_not_less_similar_for_being_short(tmp_path: Path) -> None:
    """RoE is a largest value, which grows with the number of examples: sources are put on one scale."""
    questions = [
        f"Premise: {w} {n} are on the table. Hypothesis: there is {w} fruit. Entailed?"
        for w in ("ripe", "no", "some")
        for n in range(30)
    ]
    for count in (2, 10, 90):
        write_examples(tmp_path / "own" / f"own{count}.jsonl", questions[:: 90 // count][:count])
    ranking = rank(EXAMPLES, sources=tmp_path / "own", selector="roe")
    own = {source.task: source.similarity for source in ranking.sources if not source.measured}
    assert max(own.values()) - min(own.values()) < 0.1
    assert any("few examples, so their similarity is uncertain: own2 (2)" in note for note in ranking.notes)


def test_own_candidates_with_examples_of_the_target_are_reported(tmp_path: Path) -> None:
    write_examples(tmp_path / "own" / "copy.jsonl", [example.input for example in EXAMPLES])
    assert any(
        "copy contains 3 of the target's own examples" in note for note in rank(EXAMPLES, sources=tmp_path / "own").notes
    )


def test_many_candidates_with_the_same_remark_are_counted_and_not_all_named() -> None:
    copies = [ExampleSet(f"t{i}", EXAMPLES[:2], "made up") for i in range(2000)]
    _, renamed = with_distinct_names(copies, [item.name for item in copies])
    for notes in (renamed, own_notes(copies, ExampleSet("target", EXAMPLES[:2], "made up"))):
        assert len(notes) <= 10
        assert max(map(len, notes)) < 250
        assert any("1,992 more" in note for note in notes)


def test_names_of_own_candidates_never_clash(tmp_path: Path) -> None:
    for name in ("rte", "rte (own)"):
        write_examples(tmp_path / "own" / f"{name}.jsonl", ["What is two plus two?"])
    own = [source.task for source in rank(EXAMPLES, sources=tmp_path / "own").sources if not source.measured]
    assert sorted(own) == ["rte (own)", "rte (own2)"]


def test_mapped_columns_need_not_be_those_of_the_sources(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    target.write_text("premise,hypothesis\nIt is hot.,It is warm.\n")
    write_examples(tmp_path / "own" / "weather.jsonl", ["It is icy."])
    settings = TargetSettings(Columns(("premise", "hypothesis")))
    assert len(rank(target, target_settings=settings, sources=tmp_path / "own")) == 23


def test_a_folder_does_not_hide_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rte").mkdir()
    monkeypatch.chdir(tmp_path)
    assert rank("rte").selector == "measured"


def test_excluding_everything_says_so() -> None:
    with pytest.raises(taskweb.TaskWebError, match="Exclude fewer tasks"):
        rank(EXAMPLES, exclude=published_web().tasks)


def test_a_changed_configuration_is_another_encoder(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "e")
    before = SentenceEncoder(folder).identity
    config = json.loads((folder / "config.json").read_text()) | {"num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(config))
    assert SentenceEncoder(folder).identity != before


@pytest.mark.parametrize("target", [None, [1], 3.5])
def test_targets_of_no_kind_are_refused(target: object) -> None:
    with pytest.raises(InputError, match="must be a path"):
        rank(target)  # type: ignore[arg-type]
