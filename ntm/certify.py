"""python -m ntm.certify run=<run or file>: prove that a network is what it should be, for ever, or show where not.

A run of task turing, or a table, should be the machine that the table says; a run of binary_mul should multiply all numbers, one
of binary_add add them, one of copy or repeat_copy say all vectors again, one of clock give what a multiplier needs.

Exit codes: 0 certified, 1 differs, 2 a mistake on the command line, 3 undecided.
"""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("certify")  # the imports below take seconds

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape

from ntm import lockstep, multiplier, runs
from ntm.certificate import ANY, EXIT, Certificate, as_json, check_kind, tell
from ntm.command import command
from ntm.config import validate
from ntm.errors import UserError
from ntm.models.turing.decisions import Decisions, name_of
from ntm.models.turing.run import run_discrete
from ntm.named import Named, compiled, learned, saved, table_of
from ntm.proofs.extract import as_yaml, extract
from ntm.proofs.formulas import as_text, logic_of, minimise
from ntm.proofs.margins import bounds
from ntm.proofs.multiplier.attempts import Proof
from ntm.proofs.product import Found, TooManyError, search_any
from ntm.proofs.verilog import simulate, simulator, write_verilog
from ntm.proofs.witness import Parting, shortest_word
from ntm.proofs.words import search_words
from tasks import BinaryMul, Task, Turing
from tasks.turing import Table, parts, random_word

WINDOWS = (1, 2, 3)
"""Cells on either side of a head that the search over declared words tries to keep, one after the other."""


@command("certify")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, then certify as the run's task asks for."""
    torch.set_num_threads(1)
    key = str(values["run"])
    loaded = saved("run", key)
    task = Turing if loaded is None else type(loaded.config.task)
    if task not in PATHS:
        allowed = "runs of task turing, binary_mul, binary_add, clock, copy or repeat_copy, tables"
        raise UserError(f"run={key}: a run of task {loaded.raw['task']['name']}; allowed: {allowed}")  # type: ignore[union-attr]
    PATHS[task](values, key, loaded)


def certify_table(values: dict[str, Any], key: str, loaded: runs.Loaded | None) -> None:
    """Search, bound, and tell the verdict about a machine that a table was made into; the exit code says which."""
    refuse(values, "invariant", None, "of task turing, or a table")
    asked = validate(Literal["auto", "any", "declared"], values["inputs"], "inputs")
    output = None if values["json"] is None else runs.writable("json", values["json"])
    named = compiled("run", key) if loaded is None else learned("run", key, loaded)
    reference = named.task.table if values["reference"] is None else table_of("reference", str(values["reference"]))
    check_reference(named.task.table, reference, values["reference"])
    if asked == "declared" and named.task.table.input is None:
        raise UserError("inputs=declared: this table declares no words (its key input); allowed: any, auto")
    folder = folder_of(values)

    console = Console(soft_wrap=True, highlight=False)
    start = time.perf_counter()
    decisions = Decisions(named.machine, named.task.table)
    with console.status("searching"):
        certificate = search(decisions, reference, named, asked)
    say(console, tell(certificate), start)
    if folder is not None and certificate.found is not None and certificate.complete:
        console.print(escape(export(folder, named, decisions, certificate.found)))
    elif folder is not None:
        folder.rmdir()
        console.print("exported      nothing: not every row that the network can come to is known")
    if output is not None:
        runs.put("json", output, (json.dumps(as_json(certificate), indent=2) + "\n").encode())
    leave(certificate.verdict)


def certify_multiplier(values: dict[str, Any], key: str, loaded: runs.Loaded | None) -> None:
    """Search, check, and tell the verdict about a machine that learned to multiply; the exit code says which."""
    assert loaded is not None
    for name, allowed in (("reference", None), ("inputs", "auto")):
        refuse(values, name, allowed, "of task binary_mul")
    output = None if values["json"] is None else runs.writable("json", values["json"])
    given = None if values["invariant"] is None else multiplier.read_invariant("invariant", values["invariant"])
    check_kind(loaded, key)
    lacking = multiplier.lacks(loaded.model, loaded.config.task)
    if lacking:
        raise UserError(f"run={key}: there is no proof with {lacking}; allowed: runs of task.protocol=clocked")
    folder = folder_of(values)
    console = Console(soft_wrap=True, highlight=False)
    start = time.perf_counter()
    with console.status("searching") as status:
        certificate = multiplier.certificate_of(loaded, given, status.update)
    say(console, multiplier.tell(certificate), start)
    if folder is not None and isinstance(certificate.found, Proof) and certificate.cell is not None:
        console.print(escape(multiplier.export(folder, certificate.found, certificate.cell)))
    elif folder is not None:
        folder.rmdir()
        console.print("exported      nothing: it is not proved right")
    if output is not None:
        runs.put("json", output, (json.dumps(multiplier.as_json(certificate)) + "\n").encode())
    leave(certificate.verdict)


def certify_lockstep(values: dict[str, Any], key: str, loaded: runs.Loaded | None) -> None:
    """Prove, and tell the verdict about a machine of another task; the exit code says which."""
    assert loaded is not None
    for name, allowed in (("reference", None), ("inputs", "auto"), ("invariant", None), ("export", None)):
        refuse(values, name, allowed, f"of task {loaded.raw['task']['name']}")
    output = None if values["json"] is None else runs.writable("json", values["json"])
    check_kind(loaded, key, lockstep.KINDS[type(loaded.config.task)].heads)
    console = Console(soft_wrap=True, highlight=False)
    start = time.perf_counter()
    with console.status("searching"):
        certificate = lockstep.certificate_of(loaded)
    say(console, lockstep.tell(certificate), start)
    if output is not None:
        runs.put("json", output, (json.dumps(lockstep.as_json(certificate), indent=2) + "\n").encode())
    leave(certificate.verdict)


PATHS: dict[type[Task], Callable[[dict[str, Any], str, runs.Loaded | None], None]] = {
    Turing: certify_table,
    BinaryMul: certify_multiplier,
    **dict.fromkeys(lockstep.KINDS, certify_lockstep),
}
"""How a run of each task is certified; a table is certified as task turing."""


def folder_of(values: dict[str, Any]) -> Path | None:
    """The new folder that export= names."""
    return None if values["export"] is None else runs.take("export", Path(str(values["export"])), "a new folder")


def refuse(values: dict[str, Any], key: str, allowed: Any, what: str) -> None:
    """Raise UserError where a key says anything of a run that it means nothing for."""
    if values[key] != allowed:
        shown = "null" if allowed is None else allowed
        raise UserError(f"{key}={values[key]}: means nothing for a run {what}; allowed: {shown}")


def say(console: Console, lines: list[str], start: float) -> None:
    """Print a certificate, and how long it took since `start`."""
    for line in [*lines, f"time          {time.perf_counter() - start:.1f} s"]:
        console.print(escape(line))


def leave(verdict: str) -> None:
    """End with the verdict's exit code."""
    if verdict != "certified":
        sys.exit(EXIT[verdict])


def check_reference(table: Table, reference: Table, key: Any) -> None:
    """Raise UserError where two tables cannot be compared."""
    if (set(reference.symbols), reference.blank, reference.tapes) != (set(table.symbols), table.blank, table.tapes):
        needed = f"{table.tapes} tape(s) of {' '.join(table.symbols)}, blank {table.blank}"
        raise UserError(f"reference={key}: other symbols, blank or tapes than the run; allowed: a table with {needed}")


def search(decisions: Decisions, reference: Table, named: Named, asked: str) -> Certificate:
    """What can be found out about a machine on any tape, or on the words that its table declares."""

    def ended(scope: str, found: Found | None, parting: Parting | None = None, gave_up: str | None = None) -> Certificate:
        proved = found is not None and not found.differences
        proof = bounds(named.machine, named.task.table, found.reached) if found is not None and proved else None
        return Certificate(named, reference, scope, found, proof, parting, gave_up)

    if asked != "declared":
        found = search_any(decisions, reference)
        if not found.differences:
            return ended(ANY, found)
        if asked == "any" or named.task.supervision == "compiled":
            return ended(ANY, found, part_anywhere(decisions, reference, named))
    pattern, scope = named.task.pattern, f"every word {named.task.words}, of any length"
    last, looked = None, False
    for n in WINDOWS:
        try:
            last = search_words(decisions, reference, pattern, n)
        except TooManyError as error:
            parting = None if looked else shortest_word(decisions, reference, pattern)
            return ended(scope, last, parting, str(error))
        if not last.differences:
            return ended(scope, last)
        parting = None if looked else shortest_word(decisions, reference, pattern)
        if parting is not None:  # a real difference: a sharper search would find it, too
            return ended(scope, last, parting)
        looked = True
    return ended(scope, last)


def part_anywhere(decisions: Decisions, reference: Table, named: Named) -> Parting | None:
    """Where machine and table part on a tape that the machine may be given: blank, a declared word, else any word."""
    symbols = [symbol for symbol in reference.symbols if symbol != reference.blank]
    anything = ",".join([f"[ {' '.join(symbols)} ]+"] * reference.tapes) if symbols else ""
    for pattern in (parts("," * (reference.tapes - 1), reference.tapes), named.task.pattern, parts(anything, reference.tapes)):
        parting = shortest_word(decisions, reference, pattern)
        if parting is not None:
            return parting
    return None


def export(folder: Path, named: Named, decisions: Decisions, found: Found) -> str:
    """Write the extracted machine: table.yaml, formulas.txt, Verilog; simulate it where iverilog is installed."""
    table = named.task.table
    logic = logic_of(table, found.reached)
    (folder / "table.yaml").write_text(as_yaml(extract(table, found.reached)))
    formulas = [f"{name} = {as_text(logic, minimise(logic, n))}" for n, name in enumerate(logic.outputs)]
    states = ", ".join(f"{n} {name_of(table, code)}" for n, code in enumerate(logic.states))
    symbols = ", ".join(f"{n} {symbol}" for n, symbol in enumerate(table.symbols))
    (folder / "formulas.txt").write_text("\n".join([f"# states: {states}", f"# symbols: {symbols}", *formulas]) + "\n")
    write_verilog(folder, table, logic)
    written = f"exported      {folder}: table.yaml, formulas.txt, controller.v, testbench.v"
    if simulator() is None:
        return f"{written}; the Verilog was not simulated: no iverilog here"
    random, limit = np.random.default_rng(0), 2_000
    tried = [random_word(random, named.task.pattern, 1 + n) for n in range(6)]
    same = sum(simulate(folder, table, logic, word, limit) == run_discrete(decisions, word, limit) for word in tried)
    return f"{written}; iverilog ends as the network does on {same} of {len(tried)} random words"


if __name__ == "__main__":
    main()
    ends.too_late()
