"""python -m ntm.certify run=<run or file>: prove that a network is the machine that its table says, for ever, or show where not."""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("certify")  # the imports below take seconds

import json
import sys
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape

from ntm import runs
from ntm.command import command
from ntm.config import validate
from ntm.errors import UserError
from ntm.models.turing.decisions import Decisions, name_of
from ntm.models.turing.run import run_discrete
from ntm.named import Named, find, table_of
from ntm.proofs.extract import as_yaml, extract
from ntm.proofs.formulas import as_text, logic_of, minimise
from ntm.proofs.margins import Bounds, bounds
from ntm.proofs.product import Difference, Found, TooManyError, search_any, search_words, shortest_word
from ntm.proofs.verilog import simulate, simulator, write_verilog
from tasks.turing import Table, letters, parts, random_word

WINDOWS = (1, 2, 3)
"""Cells on either side of a head that the search over declared words tries to keep, one after the other."""

MOST_ROWS = 60
"""Rows of the table that are printed."""


class Certificate(NamedTuple):
    """What was found out about a machine."""

    named: Named
    reference: Table
    scope: str  # of inputs, in words
    found: Found
    proof: Bounds | None  # None where there are differences
    word: list[str] | None  # the shortest input found on which machine and table part, tape by tape; empty: the blank tape

    @property
    def certified(self) -> bool:
        """Whether equality is proved, at every tick for ever."""
        return self.proof is not None and self.proof.forever


@command("certify")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, search, bound, and tell the verdict; exit code 1 where it is no."""
    asked = validate(Literal["auto", "any", "declared"], values["inputs"], "inputs")
    output = None if values["json"] is None else runs.writable("json", values["json"])
    torch.set_num_threads(1)
    named = find("run", str(values["run"]))
    reference = named.task.table if values["reference"] is None else table_of("reference", str(values["reference"]))
    check_reference(named.task.table, reference, values["reference"])
    if asked == "declared" and named.task.table.input is None:
        raise UserError("inputs=declared: this table declares no words (its key input); allowed: any, auto")
    folder = None if values["export"] is None else runs.take("export", Path(str(values["export"])), "a new folder")

    console = Console(soft_wrap=True, highlight=False)
    start = time.perf_counter()
    decisions = Decisions(named.machine, named.task.table)
    try:
        with console.status("searching"):
            scope, found = search(decisions, reference, named, asked)
            proof = None if found.differences else bounds(named.machine, named.task.table, found.reached)
            word = witness(named, reference, found.differences) if found.differences else None
    except TooManyError as error:
        print(f"ntm.certify: stopped: {error}", file=sys.stderr)
        sys.exit(1)
    certificate = Certificate(named, reference, scope, found, proof, word)
    for line in [*tell(certificate), f"time          {time.perf_counter() - start:.1f} s"]:
        console.print(escape(line))
    if folder is not None and found.reached:
        console.print(escape(export(folder, named, decisions, found)))
    if output is not None:
        runs.put("json", output, (json.dumps(as_json(certificate), indent=2) + "\n").encode())
    if not certificate.certified:
        sys.exit(1)


def check_reference(table: Table, reference: Table, key: Any) -> None:
    """Raise UserError where two tables cannot be compared."""
    if (set(reference.symbols), reference.blank, reference.tapes) != (set(table.symbols), table.blank, table.tapes):
        needed = f"{table.tapes} tape(s) of {' '.join(table.symbols)}, blank {table.blank}"
        raise UserError(f"reference={key}: other symbols, blank or tapes than the run; allowed: a table with {needed}")


def search(decisions: Decisions, reference: Table, named: Named, asked: str) -> tuple[str, Found]:
    """The scope of the proof in words, and the search that found no difference, or the last that did.

    Raises TooManyError where the search over words cannot even begin.
    """
    scope, found = "any content of the tapes", None
    if asked != "declared":
        found = search_any(decisions, reference)
        if not found.differences or asked == "any" or named.task.supervision == "compiled":
            return scope, found
    for n in WINDOWS:
        try:
            found = search_words(decisions, reference, named.task.pattern, n)
        except TooManyError:
            if found is None:
                raise
            break
        scope = f"every word {named.task.words}, of any length"
        if not found.differences or shortest_word(reference, named.task.pattern, found.differences) is not None:
            break  # proved, or a real difference: a sharper search would find it, too
    assert found is not None
    return scope, found


def tell(certificate: Certificate) -> list[str]:
    """The certificate for people."""
    named, reference, scope, found, proof, _ = certificate
    lines = [f"machine       {named.where}, supervision {named.task.supervision}", f"inputs        {scope}"]
    lines.append(f"reached       {len(found.reached)} combinations of register and symbols, a fixed point")
    if proof is None:
        return lines + refusal(certificate)
    m, e = proof.margins, proof.errors
    lines.append(
        f"margins       (logits from flipping) register {m.register:.1f}, written {m.written:.1f}, erase {m.erase:.1f}, "
        f"stay {m.stay:.1f}, move {m.move:.1f}, running {m.running:.1f}; sharpening at least {m.sharpening:.1f}"
    )
    if not proof.settled:
        return [*lines, "verdict       NOT CERTIFIED: the errors of one tick grow in the next: a gate may flip"]
    lines.append(
        f"errors        a tick that begins within these ends within them: register {e.register:.0e}, slot {e.slot:.0e}, "
        f"weight off the head {e.off_head:.0e}"
    )
    lines.append(f"contraction   a slot under a head keeps {proof.kept:.0e} of its old error, a register and a head none of it")
    lines += rows_of(named.task.table, found)
    if not certificate.certified:
        return [*lines, f"verdict       NOT CERTIFIED for ever: stray weight adds up; safe for {proof.ticks:.0e} ticks"]
    lines += [
        f"verdict       CERTIFIED: on {scope}, at every tick for ever, the network's state, symbols written and moves are those",
        f"              of the table {reference.name} ({len(found.pairs)} pairs of states), and it halts when the table does",
        "assumed       float32 rounds to nearest, its sigmoid, softmax, softplus and log are right to 1e-6, the tape grows in",
        f"              time (fewer than 2^40 slots), decisions are those of one tick of Machine; in real arithmetic a slot may be"
        f" left alone for {proof.ticks:.0e} ticks",
        f"not proved    that the machine halts, what the table computes, {outside(scope)}",
    ]
    return lines


def outside(scope: str) -> str:
    """What a proof of this scope leaves out."""
    return "other precisions or devices" if scope.startswith("any") else "tapes that are no such word, other precisions or devices"


def refusal(certificate: Certificate) -> list[str]:
    """Where machine and table part, with an input to see it."""
    differences, word = certificate.found.differences, certificate.word
    first = differences[0]
    lines = [f"differs       in {len(differences)} combinations; state {first.state}, symbols {' '.join(first.seen)}:"]
    lines += [f"              the network: {first.machine}", f"              the table:   {first.table}"]
    shown = (
        "none found among short words: not proved equal, not shown to differ"
        if word is None
        else f"input={','.join(word) or '(blank tape)'}"
    )
    return [*lines, f"shortest      {shown}", f"verdict       NOT CERTIFIED: not the table {certificate.reference.name}"]


def witness(named: Named, reference: Table, differences: list[Difference]) -> list[str] | None:
    """The shortest input on which machine and table part: a declared word, else any word; the blank tape first."""
    symbols = [symbol for symbol in reference.symbols if symbol != reference.blank]
    anything = parts(",".join(f"[ {' '.join(symbols)} ]+" for _ in range(reference.tapes)), reference.tapes)
    for pattern in (parts(",".join("" for _ in range(reference.tapes)), reference.tapes), named.task.pattern, anything):
        word = shortest_word(reference, pattern, differences)
        if word is not None:
            return ["".join(tape) for tape in word] if any(word) else []
    return None


def rows_of(table: Table, found: Found) -> list[str]:
    """The extracted table, as far as people read tables."""
    lines = []
    for (code, seen), d in list(found.reached.items())[:MOST_ROWS]:
        does = f"{' '.join(d.write)}, {letters(d.move)}, {name_of(table, d.code)}" if d.running else "halts"
        lines.append(f"              {name_of(table, code)}, {' '.join(seen)} -> {does}")
    left = len(found.reached) - MOST_ROWS
    return ["table", *lines, *([f"              and {left} more: export=<folder> writes all"] if left > 0 else [])]


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


def as_json(certificate: Certificate) -> dict[str, Any]:
    """The certificate for json=."""
    named, reference, scope, found, proof, word = certificate
    return {
        "run": named.where,
        "supervision": named.task.supervision,
        "reference": reference.name,
        "certified": certificate.certified,
        "inputs": scope,
        "combinations": len(found.reached),
        "pairs": len(found.pairs),
        "margins": None if proof is None else proof.margins._asdict(),
        "errors": None if proof is None else proof.errors._asdict(),
        "differences": [difference._asdict() for difference in found.differences],
        "shortest_input": word,
        "table": extract(named.task.table, found.reached) if found.reached else None,
    }


if __name__ == "__main__":
    main()
    ends.too_late()
