"""Which texts an encoder's tokenizer can read: all-MiniLM-L6-v2 in twenty languages, and tokenizers that know them."""

from __future__ import annotations

import gzip
import json
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

from scripts.tabulate_languages import LATIN, OTHER_SCRIPTS, PAGE, table, with_table
from taskweb.selectors import ReadableTexts
from taskweb.selectors.encoder import Readability, SentenceEncoder
from taskweb.selectors.encoder.readability import MOST_CHARACTERS, MOST_TEXTS, PUBLISHED_TEXTS, sample_of
from taskweb.tasks.synthetic import synthetic_families
from taskweb.web.published import published_web
from tests.selectors.encoder.test_sentence_encoder import checkpoint

# English that looks unusual: none of it may be taken for a language that the encoder does not know.
UNUSUAL = {
    "labels": ["yes", "no", "spam", "ham", "entailment"],
    "single letters": ["A) x B) y C) z", "a b c d e", "q"],
    "numbers": ["1.5, 2.25, -3.0", "12 / 4 = 3", "2026-01-03", "x = 7; y = 3; z = x * y"],
    "code": [
        "for i in range(10):\n    x[i] = foo(i) + np.zeros(n)",
        "int main(void) { return a->b[k++]; }",
        "SELECT id FROM t;",
    ],
    "tweets": [
        "omg cant believe ths lol 😂😂 #fail @bob_x",
        "gr8 nite w/ my bff!! luv u xx",
        "RT @news: storm http://t.co/Xy12Ab",
    ],
    "hashes": ["3f2a9c1d77be40aa", "deadbeefcafebabe0123"],
    "formulas": ["CC(=O)OC1=CC=CC=C1C(=O)O", "sin x / cos x = tan x", "GATTACAGATTACA"],
    "terms": ["Immunohistochemistry of hepatocellular carcinoma xenografts", "EGFRvIII in glioblastoma multiforme"],
    "names": ["Siobhán Ó Súilleabháin", "Krzysztof Wojciechowski", "Nguyễn Thị Minh Khai"],
    "no letters": ["123", "...", "😂🔥", ""],
}


@pytest.mark.parametrize("language", OTHER_SCRIPTS)
def test_other_scripts_are_found_also_in_a_single_sentence(language: str, encoder: SentenceEncoder) -> None:
    sentences = OTHER_SCRIPTS[language]
    assert not encoder.readability(sentences).is_readable(PUBLISHED_TEXTS)
    assert not any(encoder.readability([sentence]).is_readable(PUBLISHED_TEXTS) for sentence in sentences)
    third = [*sentences, *LATIN["English"] * 2]
    assert not encoder.readability(third).is_readable(PUBLISHED_TEXTS)


@pytest.mark.parametrize("texts", [*LATIN.values(), *UNUSUAL.values()], ids=[*LATIN, *UNUSUAL])
def test_latin_letters_are_read(texts: list[str], encoder: SentenceEncoder) -> None:
    assert encoder.readability(texts).is_readable(PUBLISHED_TEXTS)


def test_generated_families_are_read(encoder: SentenceEncoder) -> None:
    for family in synthetic_families().values():
        for task in family.task_names[::4]:
            texts = [example.input for example in family.examples(task, 16).examples]
            assert encoder.readability(texts).is_readable(PUBLISHED_TEXTS)


def test_every_task_of_the_published_web_is_read(encoder: SentenceEncoder, published_data: Path) -> None:
    texts: dict[str, list[str]] = {task: [] for task in published_web().sources}
    with gzip.open(published_data / "examples_32_per_prompt.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["task"] in texts:
                texts[row["task"]].append(row["input"])
    read = {task: encoder.readability(own) for task, own in texts.items()}
    assert len(read) == 22
    assert all(own.letters for own in read.values())
    assert ReadableTexts(web=read).unreadable_sources == ()
    total = sum(read.values(), Readability())
    assert total.pieces_per_word == pytest.approx(PUBLISHED_TEXTS.pieces_per_word, abs=0.02)
    assert total.fragment_share == pytest.approx(PUBLISHED_TEXTS.fragment_share, abs=0.005)
    assert total.unreadable == 0
    assert total.unknown_share == pytest.approx(PUBLISHED_TEXTS.unknown_share, abs=0.001)


def test_the_page_has_the_table_of_the_script(encoder: SentenceEncoder) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, table(encoder)) == page


def tokenizer_of(kind: str, texts: list[str]) -> Tokenizer:
    """A tokenizer that knows these texts: pieces as XLM-R's, as multilingual BERT's, or bytes as RoBERTa's."""
    known = {"vocab_size": 6000, "show_progress": False}
    if kind == "unigram":
        words = {f"▁{word}" for text in texts for word in text.split()}
        pieces = {word[i : i + 4] for word in words for i in range(0, len(word), 4)}
        tokenizer = Tokenizer(
            models.Unigram([("<s>", 0.0), ("<unk>", 0.0), *((piece, -1.0) for piece in sorted(pieces))], 1, False)
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        return tokenizer
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], **known)
    else:
        tokenizer = Tokenizer(models.BPE())
        words = pre_tokenizers.Split(" ", "merged_with_next")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(special_tokens=["<s>"], initial_alphabet=alphabet, **known)
    tokenizer.train_from_iterator(texts * 20, trainer)
    return tokenizer


def encoder_of(folder: Path, tokenizer: Tokenizer) -> SentenceEncoder:
    checkpoint(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return SentenceEncoder(folder, max_tokens=64)


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "bytes"])
def test_a_tokenizer_that_knows_the_languages_reads_them(kind: str, tmp_path: Path) -> None:
    languages = OTHER_SCRIPTS | LATIN
    everything = [text for sentences in languages.values() for text in sentences]
    knows_all = encoder_of(tmp_path / "all", tokenizer_of(kind, everything))
    for language, sentences in languages.items():
        assert knows_all.readability(sentences).is_readable(PUBLISHED_TEXTS), language
    knows_english = encoder_of(tmp_path / "english", tokenizer_of(kind, list(LATIN["English"])))
    for language, sentences in OTHER_SCRIPTS.items():
        assert not knows_english.readability(sentences).is_readable(PUBLISHED_TEXTS), language


def test_what_is_counted(tmp_path: Path) -> None:
    vocabulary = {"[UNK]": 0, "cat": 1, "##s": 2, "d": 3, "##o": 4, "##g": 5, "a": 6, "7": 7, "猫": 8, "[PAD]": 9}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    encoder = encoder_of(tmp_path / "e", tokenizer)
    counted = {
        "a cats": Readability(letters=5, words=2, pieces=3, fragments=1, texts=1),  # `s`; a word of one letter is none
        "dog 7": Readability(letters=3, words=1, pieces=3, fragments=3, texts=1, unreadable=1),
        "dóg": Readability(letters=3, words=1, pieces=3, fragments=3, texts=1, unreadable=1),
        "猫猫": Readability(letters=2, words=2, pieces=2, texts=1),
        "犬 cat": Readability(letters=4, unknown=1, words=2, pieces=2, texts=1, unreadable=1),
        "xyz": Readability(letters=3, unknown=3, words=1, pieces=1, texts=1, unreadable=1),
        "7 7": Readability(),
        "": Readability(),
    }
    for text, wanted in counted.items():
        assert encoder.readability([text]) == wanted, text
    assert encoder.readability(list(counted)) == sum(counted.values(), Readability())
    assert encoder.readability([]) == Readability()
    cut = encoder.readability(["cat " * 200])
    assert cut.letters == 3 * cut.pieces < 600  # only what is read


def test_a_space_of_its_own_is_no_part_of_a_letter(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁", -1.0), ("ж", -1.0), ("дом", -1.0)], 0, False))
    tokenizer.add_special_tokens([AddedToken("<s>")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    encoder = encoder_of(tmp_path / "e", tokenizer)
    assert encoder.readability(["ж дом"]) == Readability(letters=4, words=2, pieces=2, texts=1)
    assert encoder.readability(["日本"]).unknown == 2


@settings(max_examples=25)
@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_text_is_counted(encoder: SentenceEncoder, texts: list[str]) -> None:
    found = encoder.readability([text.encode("utf-8", "replace").decode() for text in texts])
    assert min(astuple(found)) >= 0
    assert found.unknown <= found.letters
    assert found.fragments <= found.pieces
    assert found.words <= found.letters
    assert found.unreadable <= found.texts <= len(texts)


def test_a_sample_is_spread_evenly() -> None:
    texts = [str(i) * 2000 for i in range(100)]
    sample = sample_of(texts)
    assert len(sample) == MOST_TEXTS == len(set(sample))
    assert {len(text) for text in sample} == {MOST_CHARACTERS}
    assert sample[-1].startswith("96")
    assert sample_of(texts[:3]) == [text[:MOST_CHARACTERS] for text in texts[:3]]
    assert sample_of([]) == []


def test_texts_are_compared_with_those_of_the_web() -> None:
    english = Readability(letters=100, words=20, pieces=22, fragments=1)
    russian = Readability(letters=100, words=20, pieces=100, fragments=97)
    odd = Readability(letters=100, words=20, pieces=50, fragments=20)  # 40% single letters: still readable
    odder = Readability(letters=100, words=20, pieces=50, fragments=28)
    assert ReadableTexts(russian, {"a": english, "b": russian}).unreadable_sources == ("b",)
    assert ReadableTexts(russian, {"a": russian}).reference == PUBLISHED_TEXTS
    assert not ReadableTexts(russian, {"a": russian}).is_target_readable
    assert not ReadableTexts(odder).is_target_readable
    assert ReadableTexts(odder, {"a": odd}).is_target_readable  # not much worse than the web's own
    assert ReadableTexts(None, own={"mine": russian}).unreadable_sources == ("mine",)
    assert ReadableTexts(english, {"a": odd}, {"mine": english}).note == ""
    many = ReadableTexts(russian, {f"t{i}": russian for i in range(7)} | {"e": english})
    assert "of the target (5.0 pieces a word, 97% of them single letters, 0% of the letters unknown; the web's" in many.note
    assert "and of 7 of 8 sources (t0, t1, t2, t3, t4, ...)" in many.note
    assert many.to_dict() == {
        "target": {"unknown": 0.0, "pieces_per_word": 5.0, "one_letter": 0.97, "unreadable_texts": 0.0, "readable": False},
        "sources": {"read": 8, "unreadable": [f"t{i}" for i in range(7)]},
        "web": {"unknown": 0.0, "pieces_per_word": 1.1, "one_letter": 0.0455, "unreadable_texts": 0.0},
    }
