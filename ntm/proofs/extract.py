"""The table that a network has become, read off its decisions, in the YAML notation that compiles back into a network."""

from collections.abc import Mapping
from typing import Any

import yaml

from ntm.models.turing.decisions import Code, Decision, code_of, name_of
from tasks.turing import Row, Table, letters


def extract(table: Table, reached: Mapping[tuple[Code, tuple[str, ...]], Decision]) -> dict[str, Any]:
    """The machine's own table as plain values, over every combination that can occur; `table` lends symbols and names.

    A combination that cannot occur has no row: `null`. A state that does nothing on whatever it sees is a halting state.
    """
    names: dict[Code, str] = {}
    for code in [code_of(table, state) for state in table.states] + [code for code, _ in reached]:
        # A state may be called 11, and a register show two bits.
        names[code] = names.get(code) or unused(name_of(table, code), dict.fromkeys(names.values()))
    rows: dict[str, dict[str, list[str] | None]] = {}
    for (code, seen), decision in reached.items():
        row = Row(decision.write, decision.move, names[decision.code]) if decision.running else None
        rows.setdefault(names[code], {})[" ".join(seen)] = (
            None if row is None else [" ".join(row.write), letters(row.move), row.state]
        )
    halting = [state for state, by_symbol in rows.items() if not any(by_symbol.values())]
    every = len(table.symbols) ** table.tapes
    rest: dict[str, None] = {" ".join("." * table.tapes): None}
    return {
        "about": f"extracted from a network: {table.name}",
        "tapes": str(table.tapes),
        "symbols": list(table.symbols),
        "blank": table.blank,
        "start": table.start,
        "halt": halting or [unused("halt", rows)],
        **({"input": table.input} if table.input else {}),
        "table": {
            state: by_symbol if len(by_symbol) == every else {**by_symbol, **rest}
            for state, by_symbol in rows.items()
            if state not in halting
        },
    }


def unused(name: str, taken: Mapping[str, Any]) -> str:
    """A name that no state has."""
    return name if name not in taken else unused(f"{name}_", taken)


def as_yaml(extracted: dict[str, Any]) -> str:
    """The table as a YAML file, one row a line."""
    head = {key: value for key, value in extracted.items() if key != "table"}
    lines = [yaml.safe_dump(head, sort_keys=False, default_flow_style=None, width=120), "table:\n"]
    for state, rows in extracted["table"].items():
        lines.append(f"  {flow(state)}:\n")
        lines += [f"    {flow(seen)}: {'null' if row is None else flow(row)}\n" for seen, row in rows.items()]
    return "".join(lines)


def flow(value: Any) -> str:
    """A value on one line of YAML, quoted where it must be."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
