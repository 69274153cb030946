"""What `python -m ntm.bench` measures, and beside what: a new kind of row is a file here and a row in ntm/bench.py."""
