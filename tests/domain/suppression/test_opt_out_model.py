"""The model's file of weights: what is accepted, and that it is the one of the training texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.suppression.ngrams import ngrams
from domain.suppression.opt_out_intent import MODEL
from domain.suppression.opt_out_model import FILE, Model, ModelFileError, parsed, written
from tests.domain.suppression.intent.corpora import digest

FILED = FILE.read_text(encoding="utf-8")


def test_likelihood_is_the_logistic_of_the_weights_over_the_root_of_their_number() -> None:
    model = Model(intercept=-100, weights={"w:stop": 300, "w:^ stop": 100, "w:by": -500})
    assert model.likelihood("stop") == pytest.approx(0.8616, abs=1e-4)  # -1 + 4 / sqrt(2)
    assert model.likelihood("stop by") == pytest.approx(0.1712, abs=1e-4)  # -1 - 1 / sqrt(3)
    assert model.likelihood("") == pytest.approx(0.2689, abs=1e-4)


def test_ngrams_are_runs_of_words_and_of_letters() -> None:
    found = ngrams("Don\u2019t stooop!! \U0001f44d\U0001f3fd 42")
    assert {"w:dont stoop !", "w:^ dont", "w:\U0001f44d", "w:00", "w:00 $"} <= found
    assert {"c: don", "c:t st", "c:oop !"} <= found
    assert not any("\U0001f3fd" in ngram or "4" in ngram for ngram in found)


def test_written_model_is_read_back() -> None:
    model = Model(-12, {"w:^ stop": 40, "c: st": -7, "w:\U0001f6d1": 5, "c:\u00df#": 1})
    assert parsed(written(model, {"texts": "4"})) == model


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (FILED.replace("opt-out-model-1", "opt-out-model-0"), "format"),
        (FILED[:-20], "checksum"),
        (FILED.replace("\n-", "\n"), "checksum"),
        (FILED.replace("\tintercept\n", "0\tintercept\n"), "checksum"),
        ("", "format"),
    ],
)
def test_spoiled_file_is_refused_with_the_remedy(spoiled: str, reason: str) -> None:
    with pytest.raises(ModelFileError, match=f"{reason}.*tests.domain.suppression.intent.train"):
        parsed(spoiled)


def test_file_is_small_and_from_the_current_training_texts() -> None:
    assert len(FILED.encode()) < 300_000
    assert f"\nlearned\t{digest()}\n" in FILED


def test_extreme_weights_do_not_overflow() -> None:
    certain = Model(intercept=0, weights={"w:stop": 10**6, "w:go": -(10**6)})
    assert (certain.likelihood("stop"), certain.likelihood("go")) == (1, 0)


@given(st.text(max_size=300))
def test_no_text_breaks_it(body: str) -> None:
    assert 0 <= MODEL.likelihood(body) <= 1
