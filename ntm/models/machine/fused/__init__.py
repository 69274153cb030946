"""The fused step: a whole sequence of a machine in one call of C++. The Python beside this folder is its reference."""
