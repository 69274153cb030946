"""Turing machines as data: tables, words, and the slow reference. ntm/models/turing makes networks of them."""

from tasks.turing.reference import Configuration, Step, begin, execute, read_cells
from tasks.turing.table import NoTableError, Row, Table, letters, read_table, shipped
from tasks.turing.words import Word, every_word, parts, random_word, read_word

__all__ = [
    "Configuration",
    "NoTableError",
    "Row",
    "Step",
    "Table",
    "Word",
    "begin",
    "every_word",
    "execute",
    "letters",
    "parts",
    "random_word",
    "read_cells",
    "read_table",
    "read_word",
    "shipped",
]
