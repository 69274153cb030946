"""A proved multiplier as hardware: a synthesizable serial-parallel multiplier in Verilog, a test bench, and its simulation.

Inputs and clock ticks are the protocol's of tasks/binary_mul.py. Slots are a memory, slot 0 the one that sweeps begin at; beyond
both ends it is blank, as the proof has it. The test bench multiplies the operands of each line of operands.txt (bits, and two
hexadecimal numbers) and prints the products. `simulate` does this with Debian's iverilog.
"""

from collections.abc import Sequence
from pathlib import Path

from ntm.proofs.multiplier.cell import Cell
from ntm.proofs.verilog import printed

BESIDE = 2
"""Slots that operands need more than they have bits."""

BITS = 64
"""Of the largest operands, where nobody says otherwise."""

ABOUT = [
    "// `reset` is 1 for a clock. Then a: `load` is 1, `data` a bit of it a clock, the lowest first. Then the sweeps, two for each",
    "// bit of a, each of two clocks more than a has bits: `start` is 1 in its first clock, `data` in all of them a bit of b, the",
    "// lowest first, and 0 when there is none left. A bit of the product, the lowest first, is to be read whenever `valid` is 1.",
    f"// SLOTS is at least {BESIDE} more than a has bits.",
]

Operands = tuple[int, int, int]
"""Bits of both numbers, a, b."""


def multiplier(cell: Cell) -> str:
    """The module `multiplier`: a tick a clock; `product` is a bit of the product while `valid` is 1."""
    last = len(cell.channels) - 1
    formulas = [(name, formula) for name, formula in cell.formulas.items() if name not in ("home", "product")]
    text = " ".join(cell.formulas.values())
    seen = {"left": "head > 0 ? memory[head - 1]", "own": "memory[head]"}
    seen |= {name: f"head + {n} < SLOTS ? memory[head + {n}]" for n, name in ((1, "right"), (2, "further"))}
    lines = [
        *ABOUT,
        f"module multiplier #(parameter SLOTS = {BITS + BESIDE}) (",
        *(f"    input wire {name}," for name in ("clk", "reset", "data", "load", "start")),
        "    output wire product,",
        "    output wire valid",
        ");",
        f"    localparam [{last}:0] BLANK = {constant(cell.blank)};",
        f"    reg [{last}:0] memory [0:SLOTS - 1];",
        "    reg [$clog2(SLOTS + 1) - 1:0] head;",
        "    reg [1:0] tick;  // of the sweep, up to 2",
        "    integer slot;",
        *(f"    reg register{n};" for n in cell.registers),
    ]
    for where, slot in seen.items():
        if where in text:
            lines.append(f"    wire [{last}:0] {where} = {slot}{' : BLANK' if '?' in slot else ''};")
            lines += [f"    wire {where}{n} = {where}[{bit}];" for bit, n in enumerate(cell.channels)]
    lines += [f"    wire {name} = {formula};" for name, formula in formulas]
    lines += [
        f"    wire home = {cell.formulas['home']};",
        f"    assign product = {cell.formulas['product']};",
        "    assign valid = tick == 2;",
        "    always @(posedge clk)",
        "        if (reset) begin",
        f"            head <= {cell.first};",
        "            tick <= 0;",
        *(f"            register{n} <= {bit};" for n, bit in zip(cell.registers, cell.register)),
        "            for (slot = 0; slot < SLOTS; slot = slot + 1) memory[slot] <= BLANK;",
        "        end else begin",
        f"            memory[head] <= {{{', '.join(f'write{n}' for n in reversed(cell.channels))}}};",
        "            head <= home ? 0 : head + 1;",
        "            tick <= start ? 1 : tick == 1 ? 2 : 0;",
        *(f"            register{n} <= next{n};" for n in cell.registers),
        "        end",
    ]
    return "\n".join([*lines, "endmodule", ""])


def constant(bits: list[int]) -> str:
    """Bits of a slot as a Verilog number, the first one the lowest."""
    return f"{len(bits)}'b{''.join(map(str, reversed(bits)))}"


TEST_BENCH = f"""\
module testbench;
    parameter BITS = {BITS};  // of the largest operands
    reg clk = 0, reset = 0, data = 0, load = 0, start = 0;
    wire product, valid;
    reg [BITS - 1:0] a, b;
    reg [2 * BITS - 1:0] answer;
    integer file, bits, at, sweep, said;
    multiplier #(.SLOTS(BITS + {BESIDE})) machine (
        .clk(clk), .reset(reset), .data(data), .load(load), .start(start), .product(product), .valid(valid)
    );
    task tick;
        begin
            #1;
            if (valid) begin
                answer[said] = product;
                said = said + 1;
            end
            clk = 1; #1 clk = 0;
        end
    endtask
    initial begin
        file = $fopen("operands.txt", "r");
        while ($fscanf(file, "%d %h %h", bits, a, b) == 3) begin
            answer = 0; said = 0;
            reset = 1; tick; reset = 0;
            load = 1;
            for (at = 0; at < bits; at = at + 1) begin
                data = a[at];
                tick;
            end
            load = 0;
            for (sweep = 0; sweep < 2 * bits; sweep = sweep + 1) begin
                data = sweep < bits ? b[sweep] : 0;
                for (at = 0; at < bits + 2; at = at + 1) begin
                    start = at == 0;
                    tick;
                end
            end
            $display("product %0d %h", said, answer);
        end
        $finish;
    end
endmodule
"""


def write_verilog(folder: Path, cell: Cell) -> None:
    """Write multiplier.v, testbench.v and an example's operands into a folder."""
    (folder / "multiplier.v").write_text(multiplier(cell))
    (folder / "testbench.v").write_text(TEST_BENCH)
    write_operands(folder, [(30, 987654321, 123456789)])


def write_operands(folder: Path, operands: Sequence[Operands]) -> None:
    """Write operands as the test bench reads them."""
    (folder / "operands.txt").write_text("".join(f"{bits} {a:x} {b:x}\n" for bits, a, b in operands))


def simulate(folder: Path, operands: Sequence[Operands]) -> list[int]:
    """The products of a folder's Verilog, compiled and run; each must have said twice as many bits as its operands have."""
    write_operands(folder, operands)
    room = f"-Ptestbench.BITS={max(bits for bits, _, _ in operands)}"
    said = [line.split()[1:] for line in printed(folder, "multiplier.v", build=[room]) if line.startswith("product ")]
    assert [int(count) for count, _ in said] == [2 * bits for bits, _, _ in operands]
    return [int(product, 16) for _, product in said]
