"""Studies: what is planned, that seeds trained together are as those trained alone, that what is done is kept, and what is told."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import composed

from ntm import ends, runs
from ntm.config import build, parse
from ntm.errors import UserError
from ntm.studies import seeds
from ntm.studies.apart import StoppedError
from ntm.studies.figures import told
from ntm.studies.page import sentence, took
from ntm.studies.plan import Budget, Job, Part, Row, Study, jobs, within
from ntm.studies.results import wilson
from ntm.studies.work import Outcome, judged, kept, key_of, work
from ntm.training.data import Draw
from ntm.training.module import LitModel
from ntm.words import CONFIG_DIR
from tasks import TASKS

PART = Part(
    "T", "Q?", ("task=copy",), {"quick": Budget(2, ("trainer.max_steps=5",)), "full": Budget(3, seconds=2.0)}, {"a": Row()}, (3, 6)
)


def study_of(**parts):
    return Study("S", "About.", parts)


def test_a_plan_has_a_job_for_every_seed_or_one_for_all_that_are_trained_together():
    study = study_of(one=replace(PART, rows={"a b": Row(("model=gru",)), "C": Row()}), two=replace(PART, together=True))
    found = jobs(study, "quick")
    words = ("task=copy", "model=gru", "trainer.threads=1", "trainer.max_steps=5")
    assert found[0] == Job("one", "a b", words, (0,), False, (3, 6), 256, True)
    assert [(job.part, job.row, job.seeds) for job in found] == [
        ("one", "a b", (0,)),
        ("one", "a b", (1,)),
        ("one", "C", (0,)),
        ("one", "C", (1,)),
        ("two", "a", (0, 1)),
    ]
    assert found[0].folder(Path("x")) == Path("x/one/a-b")
    assert found[-1].name == "two, a, seeds 0 to 1"


def test_seconds_become_updates_before_anything_is_run():
    study = study_of(one=replace(PART, rows={"a": Row(ms=16.0)}))
    assert jobs(study, "full")[0].words[-1] == "trainer.max_steps=125"
    with pytest.raises(UserError, match=r"study.parts.one.rows.a.ms: must be given"):
        jobs(study_of(one=PART), "full")
    with pytest.raises(UserError, match=r"budget=huge: no part has such a budget; allowed: quick, full"):
        within(study_of(one=PART), "huge")
    some = study_of(one=PART, two=replace(PART, budgets={"full": Budget(1)}))
    assert (list(within(some, "quick").parts), list(within(some, "full").parts)) == (["one"], ["one", "two"])
    with pytest.raises(UserError, match="two have one folder"):
        jobs(study_of(one=replace(PART, rows={"a": Row(), "A!": Row()})), "quick")


def test_wilson_is_as_published():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for (count, of), wanted in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson(count, of) == pytest.approx(wanted, abs=5e-5)
    assert wilson(0, 0) == (0, 1)


def test_only_all_is_a_hundred_per_cent():
    assert [told(share) for share in (0, 49.6, 99.4, 99.96, 100)] == ["0", "50", "99.4", "99.9", "100"]


CONSTANT = [
    "optimizer.lr_floor=1e-2",
    "optimizer.lr=1e-2",
    "trainer.stop_when_solved=false",
    "trainer.max_steps=12",
    "trainer.batch_size=8",
]
CHEAP = ["task=arithmetic", "task.operation=cheap"]


@pytest.mark.parametrize("name", ["arithmetic", "identity", "parallel_mul", "digit_sum", "copy"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_what_seeds_see_together_is_what_each_sees_alone(name, split):
    task = TASKS[name]()
    together = task.batches([4, 0, 9], split, 3, 5, (4, 4))
    for n, seed in enumerate([4, 0, 9]):
        alone = task.batch(seed, split, 3, 5, (4, 4))
        assert all(torch.equal(part[n], own) and part[n].dtype == own.dtype for part, own in zip(together, alone))


@pytest.mark.parametrize(
    "words",
    [
        [*CHEAP, "model=dense"],
        [*CHEAP, "model=nalu"],
        [*CHEAP, "model=nmu", "curriculum.focus=10", "curriculum.focus_updates=[3,8]"],
        ["task=copy", "task.lengths=[2,2]", "model=deep_sets"],
        ["task=parallel_mul", "model=dense", "optimizer.clip_at=0.01"],
    ],
)
def test_seeds_that_are_trained_together_are_as_each_is_alone(words):
    config = parse(composed(*words, *CONSTANT))
    together = seeds.together(config, [3, 5], lambda made: None)
    for trained in together:
        own = config._replace(seed=trained.seed)
        torch.manual_seed(own.seed)
        lit = LitModel(own)
        lit.log_update = lambda *_: None
        lit.manual_backward = lambda loss: loss.backward()
        optimizer = lit.kept.optimizer
        for update in range(12):
            lit.update(Draw(own.task.batch(own.seed, "train", update, 8), 0), optimizer)
        assert trained.updates == lit.progress.updates == 12
        for name, value in lit.model.state_dict().items():
            torch.testing.assert_close(trained.weights[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # a Transformer's seeds attend one after another
@pytest.mark.parametrize("choice", sorted({path.stem for path in (CONFIG_DIR / "model").glob("*.yaml")} - {"turing"}))
def test_seeds_of_a_model_are_trained_together_or_refused(choice):
    words = ["task=copy", "task.lengths=[2,2]", f"model={choice}", "recipe=neutral", *CONSTANT, "trainer.max_steps=1"]
    config = parse(composed(*words))
    if config.model.together:
        assert [trained.updates for trained in seeds.together(config, [3, 5], lambda made: None)] == [1, 1]
    else:
        with pytest.raises(UserError, match="its seeds cannot be trained together; allowed: one by one"):
            seeds.together(config, [3, 5], lambda made: None)


def test_a_seed_that_is_not_finite_stays_as_it_was_and_the_others_go_on(monkeypatch):
    config = parse(composed(*CHEAP, "model=dense", *CONSTANT))
    whole = seeds.together(config, [0, 1], lambda made: None)
    drawn = type(config.task).batches

    def batches(self, seeds, split, index, size, lengths=None):
        found = drawn(self, seeds, split, index, size, lengths)
        if index == 7:
            found.inputs[seeds.index(1)] *= float("inf")
        return found

    monkeypatch.setattr(type(config.task), "batches", batches)
    hurt = seeds.together(config, [0, 1], lambda made: None)
    assert [trained.updates for trained in hurt] == [12, 7]
    short = parse(composed(*CHEAP, "model=dense", *CONSTANT, "trainer.max_steps=7"))
    monkeypatch.undo()
    for name, value in whole[0].weights.items():
        assert torch.equal(hurt[0].weights[name], value)
    for name, value in seeds.together(short, [0, 1], lambda made: None)[1].weights.items():
        assert torch.equal(hurt[1].weights[name], value)


@pytest.mark.parametrize("word", ["curriculum.stages=[1,2]", "optimizer.lr_floor=1e-9", "trainer.stop_when_solved=true"])
def test_seeds_cannot_part_from_each_other(word):
    config = parse(composed(*CHEAP, "model=dense", *CONSTANT, word))
    with pytest.raises(UserError, match=word.partition("=")[0]):
        seeds.check(config)


OUTCOME = Outcome(0, "", 10, 5, (0.1, 0.2), (0, 3), (True, False), "it copies")


def test_a_sentence_says_what_was_learned():
    assert sentence(PART, [OUTCOME]) == (
        "seed 0: it copies; learned what it was trained on, and not what follows from it: "
        "100 % of sequences right at 3 and 99 % of sequences right at 6."
    )
    silent = OUTCOME._replace(told="")
    assert sentence(PART, [silent._replace(solved=(True, True))] * 2) == "solved at every length that was judged, by every seed."
    assert sentence(PART, [silent._replace(solved=(False, False))]) == (
        "solved by no seed: 100 % of sequences right at 3 and 99 % of sequences right at 6."
    )
    some = sentence(PART, [silent, silent._replace(solved=(False, False))])
    assert some.startswith("what it was trained on was learned by 1 of 2 seeds: 100 % of sequences right at 3")
    assert sentence(PART, []) == "no seed ended well."


def test_what_a_row_took_is_of_no_other_whose_name_begins_like_it():
    seconds = {
        "text, at once, seed 0": [1.0],
        "text, at once, seed 1": [3.0],
        "text, at once, reversed, seed 0": [9.0],
        "text, a, seeds 0 to 2": [4.0],
    }
    assert [took(seconds, "text", row) for row in ("at once", "at once, reversed", "a")] == [2.0, 9.0, 4.0]


def test_a_job_is_kept_and_another_plan_is_worked_on_anew(tmp_path, monkeypatch):
    asked = []

    def ended(words, log):
        asked.append(words)
        log.write_text("one\nthe last line\n")
        return 0 if len(asked) == 2 else 1

    monkeypatch.setattr("ntm.studies.work.ended", ended)
    monkeypatch.setattr("ntm.studies.work.judged", lambda job, seed, folder: OUTCOME._replace(seed=seed))
    (job,) = [one for one in jobs(study_of(one=PART), "quick") if one.seeds == (1,)]
    assert kept(job, tmp_path) is None
    (done,) = work(job, tmp_path)
    assert done.outcome == Outcome(1, "the last line")
    assert kept(job, tmp_path) is None  # what has failed is tried again
    (tmp_path / "one/a/seed-1").mkdir()
    (done,) = work(job, tmp_path)
    assert done.outcome == OUTCOME._replace(seed=1)
    assert kept(job, tmp_path) == [done]
    assert kept(job._replace(words=("task=copy",)), tmp_path) is None
    assert kept(job._replace(sequences=7), tmp_path) is None
    (tmp_path / "one/a/seed-1.json").write_text("{")
    assert kept(job, tmp_path) is None
    assert asked[0][:2] == ["train", "task=copy"]
    assert asked[0][-2:] == ["seed=1", f"run_dir={tmp_path / 'one/a/seed-1'}"]


def test_a_run_that_was_begun_goes_on(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("ntm.studies.work.ended", lambda words, log: asked.append(words) or 0)
    monkeypatch.setattr("ntm.studies.work.judged", lambda job, seed, folder: OUTCOME)
    (job, _) = jobs(study_of(one=PART), "quick")
    begun = tmp_path / "one/a/seed-0"

    def killed(one):
        begun.mkdir(parents=True, exist_ok=True)
        (begun / runs.LAST).touch()
        (tmp_path / "one/a/seed-0.json").unlink(missing_ok=True)
        (tmp_path / "one/a/seed-0.begun").write_text(key_of(one))

    killed(job)
    work(job, tmp_path)
    assert asked == [["train", f"resume={begun}"]]
    killed(job._replace(words=("task=copy", "trainer.max_steps=7")))  # what another plan has begun is no part of this one
    work(job, tmp_path)
    assert asked[1] == ["train", *job.words, "seed=0", f"run_dir={begun}"]
    assert not begun.exists()


def test_a_job_that_is_asked_to_end_ends(tmp_path, monkeypatch):
    job = jobs(study_of(one=replace(PART, words=("task=copy", "trainer.max_steps=1000000"))), "quick")[0]
    monkeypatch.setattr(ends.watch, "asked", ends.Ended(signal.SIGTERM))
    with pytest.raises(StoppedError):
        work(job, tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_a_length_is_judged_only_where_something_was_right_before(monkeypatch):
    config = parse(composed("task=copy", "model=gru", "model.width=4"))
    monkeypatch.setattr("ntm.runs.find", lambda *_, **__: Path("x"))
    monkeypatch.setattr("ntm.runs.read", lambda *_: runs.Loaded(Path("x"), {}, config, build(config), 7, {}))
    asked = []
    monkeypatch.setattr("ntm.studies.work.measured", lambda model, task, length, count: asked.append(length) or (0.5, length))
    job = Job("one", "a", (), (0,), False, (3, 6, 9), 6)
    assert judged(job._replace(until_none=True), 0, Path("x")).wrong == (3, 6, 6)
    assert asked == [3, 6]
    found = judged(job, 0, Path("x"))
    assert (found.wrong, found.loss, found.solved, found.updates) == ((3, 6, 9), (0.5,) * 3, (False,) * 3, 7)
    assert found.parameters == sum(p.numel() for p in build(config).parameters())
