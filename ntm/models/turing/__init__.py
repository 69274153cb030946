"""Turing machines as networks: a state table as weights, compiled or learned, and run on tapes without ends."""
