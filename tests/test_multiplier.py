"""Certificates of multipliers: what is certified is right, what is wrong is not certified, and nothing is taken on trust."""

import json

import numpy as np
import pytest
import torch
from conftest import composed
from multipliers import YES, Row, adder, counting, model_of, save

from ntm.config import build, parse
from ntm.errors import UserError
from ntm.proofs.multiplier.attempts import ATTEMPTS, Failed, Proof, proof_of, prove
from ntm.proofs.multiplier.check import check
from ntm.proofs.multiplier.floats import hidden_of, margins, through
from ntm.proofs.multiplier.invariant import BEGIN, END, NONE, Beginning, Letter, as_json, bits_of, from_json
from ntm.proofs.multiplier.operands import Wrong, drawn, small, wrong_of
from ntm.proofs.multiplier.samples import samples, words
from ntm.proofs.multiplier.search import Search
from ntm.proofs.multiplier.ticks import Ticks, UnprovedError, fits
from tasks import BinaryMul

TASK = BinaryMul()


def silent(line):
    """Nobody hears what is tried."""


@pytest.fixture(scope="module")
def exact():
    """The adder's proof: its model, ticks and invariant."""
    model = model_of(adder())
    ticks = Ticks(model)
    return model, ticks, prove(ticks, silent)


def some_wrong(model, longest):
    """Operands of few bits that are multiplied wrongly, by running them."""
    return small(model.discrete(), TASK, range(1, longest + 1), 1e9)


def test_a_right_machine_is_proved(exact):
    _, _, proof = exact
    assert isinstance(proof, Proof)
    assert proof.attempt == ATTEMPTS[0]
    assert proof.margins.smallest == pytest.approx(YES / 2, abs=1e-5)
    assert {content for content, digit in known_digits(proof.invariant)} == {"00", "01", "10", "11"}
    assert all(digit in (0, int(content[1])) for content, digit in known_digits(proof.invariant))


def known_digits(invariant):
    """Contents and what they stand for from slot 1 on."""
    return [(bits_of(window[-1].content), digit) for (place, window), digit in invariant.digits.items() if place]


@pytest.mark.parametrize("width", [3, 4])
def test_it_is_proved_in_lock_step_too(exact, width):
    _, ticks, _ = exact
    proof = proof_of(ticks, Search(ticks, None, width).found())
    assert proof.invariant.lockstep
    assert {letter.sum for windows in proof.invariant.windows.values() for window in windows for letter in window} == {0, 1}


def test_every_decision_of_real_runs_is_in_the_proof(exact):
    model, _, proof = exact
    real = Ticks(model)
    contents = set()
    for n in range(1, 6):
        for a in range(1 << n):
            for b in range(1 << n):
                held = np.array([b >> j & 1 for j in range(2 * n)])
                for word, total in words(real, a, n, held):
                    contents.add(word)
                    assert total == sum(letter.content[1] << max(0, k - 1) for k, letter in enumerate(word) if k)
    assert set(real) < proof.checked.ticks
    samples(real, 200)
    assert set(real) == proof.checked.ticks  # and no others: the proof is as sharp as it can be
    listed = frozenset().union(*proof.invariant.windows.values())
    padded = [(BEGIN, BEGIN, *word, END) for word in contents]
    assert {word[at : at + 3] for word in padded for at in range(len(word) - 2)} <= listed


def test_words_are_what_the_tape_holds(exact):
    model, ticks, _ = exact
    discrete = model.discrete()
    for a, b, n in ((11, 13, 4), (1, 1, 1), (0, 3, 2)):
        batch = TASK.posed([(a, b)], n, "test")
        held = np.array([b >> j & 1 for j in range(2 * n)])
        for sweep, (word, _) in enumerate(words(ticks, a, n, held)):
            until = n + sweep * (n + 2) + 1
            tape = discrete(batch.inputs[:, :until], room=2 * (n + 8)).state[0].tapes[0]
            assert [letter.content for letter in word] == tape[: n + 3]
            assert not any(any(code) for code in tape[n + 3 :])
            assert [letter.mark for letter in word] == [*(a >> k & 1 for k in range(n)), NONE, NONE, NONE]


def damages(random, count):
    """Rows with something done to them, or to the model that they make."""
    for _ in range(count):
        model = model_of(adder())
        some = [parameter for parameter in model.parameters() if parameter.any()]
        flat = some[random.integers(len(some))].data.view(-1)
        at = random.choice(np.flatnonzero(flat.numpy()))
        flat[int(at)] *= float(random.choice([-1, 0, -3, 0.3]))
        yield model


@pytest.mark.parametrize("seed", range(5))
def test_what_is_damaged_is_never_proved_and_wrong(seed, exact):
    _, _, proof = exact
    random, refused = np.random.default_rng(seed), 0
    for model in damages(random, 8):
        wrong = some_wrong(model, 4) or wrong_of(model.discrete(), TASK, 6, [(a, b) for a in range(64) for b in (21, 45, 63)])
        for ticks in (Ticks(model), Ticks(model)):
            try:
                proof_of(ticks, Search(ticks, None, 3).found() if refused % 2 else proof.invariant)
            except UnprovedError:
                refused += 1
            else:
                assert wrong is None
    assert refused


@pytest.mark.parametrize("number", range(len(adder())))
def test_each_row_of_the_machine_matters(number, exact):
    rows = adder()
    del rows[number]
    model = model_of(rows)
    wrong, ticks = some_wrong(model, 4), Ticks(model)
    invariant = exact[2].invariant
    if wrong is None:
        check(ticks, invariant)
    else:
        with pytest.raises(UnprovedError):
            check(ticks, invariant)
        with pytest.raises(UnprovedError):
            check(ticks, Search(ticks, None, 3).found())


def test_each_window_is_needed(exact):
    _, ticks, proof = exact
    for key, windows in proof.invariant.windows.items():
        for window in windows:
            fewer = {**proof.invariant.windows, key: windows - {window}}
            with pytest.raises(UnprovedError, match="which the invariant does not list"):
                check(ticks, proof.invariant._replace(windows=fewer))


def test_each_digit_is_needed(exact):
    _, ticks, proof = exact
    digits = proof.invariant.digits
    for known, digit in digits.items():
        with pytest.raises(UnprovedError, match="has no digit"):
            check(ticks, proof.invariant._replace(digits={key: value for key, value in digits.items() if key != known}))
        for other in (digit + 1, digit - 1, digit + 2):
            with pytest.raises(UnprovedError, match="identity"):
                check(ticks, proof.invariant._replace(digits={**digits, known: other}))


def test_more_windows_than_needed_prove_nothing_wrong(exact):
    """A word that cannot occur may break the proof; it never makes a wrong machine right."""
    _, ticks, proof = exact
    key, windows = next((key, windows) for key, windows in proof.invariant.windows.items() if isinstance(key, Beginning))
    strange = (Letter(b"\1\1", NONE, 0),) * 3
    more = proof.invariant._replace(windows={**proof.invariant.windows, key: windows | {strange}})
    assert check(ticks, more).ticks == proof.checked.ticks  # nothing leads to it


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": 2}, "windows of 2 letters with digits of 1"),
        ({"width": 4}, "a window has 3 letters, not 4"),
        ({"reach": 0}, "digits of 0"),
        ({"reach": 2}, "digits of 2"),
        ({"depth": 10**9}, "depth 1000000000"),
        ({"depth": 0}, "identity|has no digit"),
        ({"lockstep": True}, "does not list"),
        ({"windows": {}}, "does not list"),
    ],
)
def test_an_invariant_that_is_none(exact, change, reason):
    _, ticks, proof = exact
    with pytest.raises(UnprovedError, match=reason):
        check(ticks, proof.invariant._replace(**change))


def test_letters_of_another_machine_are_refused(exact):
    _, _, proof = exact
    with pytest.raises(UnprovedError, match="none of this machine's"):
        check(Ticks(model_of(counting(2))), proof.invariant)


@pytest.mark.parametrize("count", [2, 3])
def test_a_machine_that_is_wrong_from_some_length_on_is_not_proved(count, monkeypatch):
    monkeypatch.setattr("ntm.proofs.multiplier.attempts.ATTEMPTS", ATTEMPTS[:2])
    model = model_of(counting(count))
    first = (1 << count) - 1
    assert some_wrong(model, min(first - 1, 4)) is None
    assert small(model.discrete(), TASK, [first], 1e9) is not None
    assert isinstance(prove(Ticks(model), silent), Failed)


def test_a_machine_that_is_wrong_from_63_bits_on_is_not_proved():
    model = model_of(counting(6))
    assert drawn(model.discrete(), TASK, 0.3) is None
    ticks = Ticks(model)
    with pytest.raises(UnprovedError, match="product bit"):
        Search(ticks, None, 3).found()
    assert len({tick.own for tick in ticks}) > 63


def test_a_head_that_strays_is_refused():
    model = model_of(adder())
    model.cell.access.addressing.bias.data[0] = 5.0  # home on every tick
    with pytest.raises(UnprovedError, match="a head that should go one slot on"):
        Search(Ticks(model), None, 3).found()


@pytest.mark.parametrize("layer", ["writing", "addressing", "register"])
def test_gates_that_are_too_small_for_float32_are_refused(exact, layer):
    model = model_of(adder())
    machine = model.cell
    of = machine.controller.feedback if layer == "register" else getattr(machine.access, layer)
    with torch.no_grad():
        for parameter in of.parameters():
            parameter *= 1e-7
    with pytest.raises(UnprovedError, match=r"certain in float32|head that should"):
        proof_of(Ticks(model), exact[2].invariant)


def test_a_product_bit_that_rounding_may_flip_is_refused(exact):
    model = model_of(adder())
    model.output.bias.data.fill_(float(np.nextafter(np.float32(-YES), np.float32(0))))
    ticks = Ticks(model)
    checked = check(ticks, exact[2].invariant)  # here it comes out right
    with pytest.raises(UnprovedError, match="a sign is not certain in float32"):
        margins(ticks, checked.ticks, checked.products)


def test_errors_bound_what_float32_does(exact):
    _, _, proof = exact
    torch.manual_seed(0)
    reached = sorted(proof.checked.ticks)
    other = model_of(adder())
    with torch.no_grad():
        for parameter in other.parameters():
            torch.nn.init.normal_(parameter, 0, 3.0)
        noisy = Ticks(other)
        hidden = hidden_of(noisy, reached)
        logits = through(other.cell.access.writing, hidden)
        inputs = torch.tensor(hidden_inputs(noisy, reached), dtype=torch.float32)
        made = other.cell.access.writing(other.cell.controller.layers(inputs)).double().numpy()
    off = np.abs(made - logits.value)
    assert off.max() > 0
    assert (off <= logits.error).all()
    assert logits.error.max() < 0.01


def hidden_inputs(ticks, reached):
    """Rows of inputs, reads and register."""
    flags = {"load": [1, 0], "none": [0, 0], "start": [0, 1]}
    return [[t.bit, *flags[t.kind], *t.left, *t.own, *t.right, *t.register] for t in reached]


def test_weights_that_are_no_numbers_are_refused(exact):
    model = model_of(adder())
    model.cell.access.writing.weight.data[0, -1] = float("inf")
    with pytest.raises(UnprovedError, match="no number"):
        margins(Ticks(model), exact[2].checked.ticks, [])
    model = model_of(adder())
    model.cell.controller.layers[0].weight.data[:, 0] *= 1e38
    with pytest.raises(UnprovedError, match=r"may leave float32's range|certain"):
        margins(Ticks(model), exact[2].checked.ticks, exact[2].checked.products)


def test_the_invariant_survives_json(exact):
    invariant = exact[2].invariant
    assert from_json("invariant", "x", json.loads(json.dumps(as_json(invariant)))) == invariant


@pytest.mark.parametrize(
    "damage",
    [
        lambda given: None,
        lambda given: [],
        lambda given: {},
        lambda given: {**given, "lockstep": 1},
        lambda given: {**given, "width": 3.0},
        lambda given: {**given, "letters": given["letters"][:-1]},
        lambda given: {**given, "letters": ["x", *given["letters"][1:]]},
        lambda given: {**given, "digits": [[0, [-1], 0]]},
        lambda given: {**given, "digits": [[0, [0], 0.5]]},
        lambda given: {**given, "digits": [[0, [0], True]]},
        lambda given: {**given, "windows": 3},
        lambda given: {**given, "windows": [{"ever": -1, "windows": []}]},
    ],
)
def test_json_that_is_no_invariant(exact, damage):
    with pytest.raises(UserError, match=r"^invariant=x: not an invariant \(.*\); allowed: one that ntm.certify wrote"):
        from_json("invariant", "x", damage(as_json(exact[2].invariant)))


def test_wrong_operands_are_the_shortest():
    rows = adder()
    rows[-1] = Row({"load": 0, "start": 0, "left1": 1, "own0": 0}, {"said": YES})  # nothing where a's bit 1 is a 1
    wrong = some_wrong(model_of(rows), 4)
    assert wrong == Wrong(2, 2, 1, 0)
    assert wrong_of(model_of(rows).discrete(), TASK, 5, [(1, 1), (9, 31), (19, 1)]) == Wrong(5, 19, 1, 0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["task=copy"], False), (["task=binary_mul", "model.heads.window=[0,2]"], False), (["task=binary_mul"], True)],
)
def test_which_machines_can_be_proved(words, expected):
    model = build(parse(composed(*words)))
    assert not fits(model)
    if model.rounds:
        model.round(1)
    assert fits(model) == expected


def ended(run, *words):
    """The exit code of ntm.certify."""
    try:
        run("certify", *words)
    except SystemExit as left:
        return left.code
    return 0


def test_the_command_certifies_and_checks_again(run, tmp_path, capsys):
    save(tmp_path / "right", adder(), model_of(adder()))
    assert ended(run, "run=right", "json=certificate.json") == 0
    shown = capsys.readouterr().out
    assert "CERTIFIED: for all n, a and b" in shown
    assert "316 combinations of inputs, register and slots seen" in shown
    assert "              01 (a's bit 0) -> 0   1" in shown
    given = json.loads((tmp_path / "certificate.json").read_text())
    assert f"weights       sha256 {given['weights_sha256']}" in shown
    assert (given["verdict"], given["certified"], given["wrong"], given["combinations"]) == ("certified", True, None, 316)
    assert ended(run, "run=right", "invariant=certificate.json", "json=again.json") == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again == given
    given["invariant"]["windows"][0]["windows"].pop()
    (tmp_path / "certificate.json").write_text(json.dumps(given))
    capsys.readouterr()
    assert ended(run, "run=right", "invariant=certificate.json") == 3
    assert "undecided     the invariant proves nothing of this machine: a word is written" in capsys.readouterr().out


def test_the_command_shows_wrong_operands(run, tmp_path, capsys):
    rows = counting(2)
    save(tmp_path / "wrong", rows, model_of(rows))
    assert ended(run, "run=wrong", "json=certificate.json") == 1
    shown = capsys.readouterr().out
    assert "verdict       DIFFERS from multiplication" in shown
    given = json.loads((tmp_path / "certificate.json").read_text())
    assert (given["verdict"], given["certified"], given["invariant"]) == ("differs", False, None)
    wrong = given["wrong"]
    assert wrong["said"] != wrong["a"] * wrong["b"]
    assert f"3 bits: {wrong['a']} x {wrong['b']} = {wrong['a'] * wrong['b']}, and the machine says {wrong['said']}" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=soft"], "run=soft: no machine that can be proved; allowed: a run that ended rounded"),
        (["run=right", "export=out"], "export=out: means nothing for a run of task binary_mul; allowed: null"),
        (["run=right", "inputs=any"], "inputs=any: means nothing for a run of task binary_mul; allowed: auto"),
        (["run=right", "reference=bb3"], "reference=bb3: means nothing"),
        (["run=right", "invariant=no.json"], "invariant=no.json: cannot be read (No such file or directory); allowed: a file"),
        (["run=right", "invariant=right/last.ckpt"], "invariant=right/last.ckpt: cannot be read (no JSON)"),
        (["run=right", "invariant=empty.json"], "invariant=empty.json: not an invariant"),
        (["run=bb3", "invariant=empty.json"], "invariant=empty.json: means nothing for a run of task turing, or a table"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, capsys, words, message):
    save(tmp_path / "right", adder(), model_of(adder()))
    save(tmp_path / "soft", adder(), model_of(adder()), rounded=False)
    (tmp_path / "empty.json").write_text("{}")
    assert ended(run, *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("ntm.certify: error: " + message)
    assert error.count("\n") == 1


def test_a_run_of_another_task_is_refused(run, trained, capsys):
    assert ended(run, f"run={trained}") == 2
    assert "a run of task copy; allowed: runs of task turing or binary_mul, tables" in capsys.readouterr().err
