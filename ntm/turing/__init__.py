"""Turing machines as networks: compiled into the weights of a Machine, learned from traces, run, certified, read back out."""
