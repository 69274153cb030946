"""The tapes of `machine=universal`: another machine's rules and state in the code that tables/universal.yaml explains."""

from ntm.errors import UserError
from tasks.turing import Table, Word, letters


def encode_machine(key: str, table: Table, word: Word) -> Word:
    """The three tapes on which the universal machine does what `table` does on `word`; raises UserError, naming `key`."""
    if table.tapes != 1 or len(table.symbols) != 2:
        raise UserError(
            f"{key}={table.name}: has {table.tapes} tapes and {len(table.symbols)} symbols; allowed: one tape and two symbols"
        )
    digit = {table.blank: "0", next(symbol for symbol in table.symbols if symbol != table.blank): "1"}
    # The start state is the first: it has one stroke.
    order = [table.start, *(state for state in table.states if state != table.start)]
    strokes = {state: "|" * number for number, state in enumerate(order, start=1)}
    rules = [
        strokes[state] + digit[seen[0]] + digit[row.write[0]] + letters(row.move) + strokes[row.state] + ";"
        for (state, seen), row in table.rows.items()
        if row is not None
    ]
    return tuple(digit[symbol] for symbol in word[0]), tuple("".join(rules)), ("|",)
