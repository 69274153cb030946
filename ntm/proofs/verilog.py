"""A machine's decisions as hardware: a synthesizable Verilog controller, a test bench with tapes, and its simulation.

The controller is a register for the state and the formulas of formulas.py; the tapes are memories outside it. Symbols and
states are binary numbers in the table's order. The test bench reads `tape<t>.mem`, runs until the machine halts or +limit steps
are done, and prints where it stands. `simulate` does this with Debian's iverilog.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ntm.models.turing.decisions import name_of
from ntm.models.turing.run import Final
from ntm.proofs.formulas import Logic, as_text, minimise, width
from tasks.turing import Table, Word

CELLS = 8192
"""Cells of each tape in the test bench; a word begins in the middle."""


def controller(table: Table, logic: Logic) -> str:
    """The module `controller`: one row of the table a clock, nothing after the machine has halted."""
    q, a = width(len(logic.states)), width(len(table.symbols))
    tapes = range(1, table.tapes + 1)
    ports = ["input wire clk", "input wire reset", *(f"input wire [{a - 1}:0] seen{t}" for t in tapes)]
    ports += [f"output wire {name}" for t in tapes for name in (f"[{a - 1}:0] write{t}", f"left{t}", f"right{t}")]
    ports += ["output wire running", f"output reg [{q - 1}:0] state"]
    lines = [f"// States: {', '.join(f'{n} {name_of(table, code)}' for n, code in enumerate(logic.states))}."]
    lines += [f"// Symbols: {', '.join(f'{n} {symbol}' for n, symbol in enumerate(table.symbols))}."]
    lines += ["module controller (", ",\n".join(f"    {port}" for port in ports), ");"]
    for name in logic.inputs:
        vector, bit = name.rsplit("_", 1)
        lines.append(f"    wire {name} = {vector}[{bit}];")
    for n, name in enumerate(logic.outputs):
        formula = as_text(logic, minimise(logic, n))
        lines.append(f"    {'assign' if '_' not in name else 'wire'} {name} = {formula};")
    for t in tapes:
        lines.append(f"    assign write{t} = {{{', '.join(f'write{t}_{bit}' for bit in reversed(range(a)))}}};")
    following = ", ".join(f"next_{bit}" for bit in reversed(range(q)))
    lines += ["    always @(posedge clk)", "        if (reset) state <= 0;", f"        else if (running) state <= {{{following}}};"]
    return "\n".join([*lines, "endmodule", ""])


def test_bench(table: Table, logic: Logic) -> str:
    """The module `testbench`: tapes, heads and a clock around the controller."""
    a, tapes = width(len(table.symbols)), range(1, table.tapes + 1)
    blank, middle = table.symbols.index(table.blank), CELLS // 2
    per_tape = [f".{name}{t}({name}{t})" for t in tapes for name in ("seen", "write", "left", "right")]
    lines = [
        "module testbench;",
        "    reg clk = 0, reset = 1;",
        "    wire running;",
        f"    wire [{width(len(logic.states)) - 1}:0] state;",
    ]
    lines += ["    integer cell_number, steps = 0, limit;"]
    for t in tapes:
        lines += [f"    reg [{a - 1}:0] tape{t} [0:{CELLS - 1}];", f"    integer at{t} = {middle}, move{t};"]
        lines += [f"    reg [{a - 1}:0] symbol{t};", f"    wire [{a - 1}:0] seen{t} = tape{t}[at{t}];"]
        lines += [f"    wire [{a - 1}:0] write{t};", f"    wire left{t}, right{t};"]
    ports = [".clk(clk)", ".reset(reset)", *per_tape, ".running(running)", ".state(state)"]
    lines += [f"    controller machine ({', '.join(ports)});", "    initial begin"]
    lines += ['        if (!$value$plusargs("limit=%d", limit)) limit = 1000;']
    lines += [f"        for (cell_number = 0; cell_number < {CELLS}; cell_number = cell_number + 1) begin"]
    lines += [f"            tape{t}[cell_number] = {blank};" for t in tapes]
    lines += ["        end", *(f'        $readmemb("tape{t}.mem", tape{t});' for t in tapes)]
    lines += ["        #1 clk = 1; #1 clk = 0; reset = 0; #1;", "        while (running && steps < limit) begin"]
    for t in tapes:
        lines += [f"            symbol{t} = write{t};", f"            move{t} = right{t} ? 1 : left{t} ? -1 : 0;"]
    lines += ["            clk = 1; #1;"]
    lines += [f"            tape{t}[at{t}] = symbol{t}; at{t} = at{t} + move{t};" for t in tapes]
    lines += ["            clk = 0; #1;", "            steps = steps + 1;", "        end"]
    lines += ['        $display("end %0d %0d %0d", steps, running, state);']
    for t in tapes:
        lines += [f'        $display("head %0d", at{t} - {middle});']
        lines += [f"        for (cell_number = 0; cell_number < {CELLS}; cell_number = cell_number + 1)"]
        lines += [f"            if (tape{t}[cell_number] != {blank})"]
        lines += [f'                $display("cell {t - 1} %0d %0d", cell_number - {middle}, tape{t}[cell_number]);']
    return "\n".join([*lines, "        $finish;", "    end", "endmodule", ""])


def write_verilog(folder: Path, table: Table, logic: Logic) -> None:
    """Write controller.v, testbench.v and empty tapes into a folder."""
    (folder / "controller.v").write_text(controller(table, logic))
    (folder / "testbench.v").write_text(test_bench(table, logic))
    write_tapes(folder, table, ((),) * table.tapes)


def write_tapes(folder: Path, table: Table, word: Word) -> None:
    """Write a word as the test bench reads it, one symbol's number a line from the middle of the tape."""
    for number, symbols in enumerate(word, start=1):
        numbers = [table.symbols.index(symbol) for symbol in symbols or (table.blank,)]
        (folder / f"tape{number}.mem").write_text("\n".join([f"@{CELLS // 2:x}", *(f"{n:b}" for n in numbers)]) + "\n")


def simulator() -> str | None:
    """Where iverilog is, or None."""
    return shutil.which("iverilog") and shutil.which("vvp")


def printed(folder: Path, module: str, build: Sequence[str] = (), run: Sequence[str] = ()) -> list[str]:
    """The lines that a folder's test bench prints, compiled with a module."""
    subprocess.run(["iverilog", "-g2005", *build, "-o", "simulation", module, "testbench.v"], cwd=folder, check=True)
    ended = subprocess.run(["vvp", "simulation", *run], cwd=folder, check=True, capture_output=True, text=True)
    return ended.stdout.splitlines()


def simulate(folder: Path, table: Table, logic: Logic, word: Word, limit: int) -> Final:
    """Compile and run the Verilog of a folder on a word for at most `limit` steps."""
    write_tapes(folder, table, word)
    said = printed(folder, "controller.v", run=[f"+limit={limit}"])
    heads: list[int] = []
    tapes: tuple[dict[int, str], ...] = tuple({} for _ in range(table.tapes))
    steps = running = state = 0
    for line in said:
        kind, *numbers = line.split()
        if kind == "end":
            steps, running, state = map(int, numbers)
        elif kind == "head":
            heads.append(int(numbers[0]))
        elif kind == "cell":
            tapes[int(numbers[0])][int(numbers[1])] = table.symbols[int(numbers[2])]
    return Final(not running, steps, name_of(table, logic.states[state]), tuple(heads), tapes)
