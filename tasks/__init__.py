"""The tasks, by the name used in `task=<name>`."""

from tasks.base import Batch, Score, Task
from tasks.binary_add import BinaryAdd
from tasks.binary_mul import BinaryMul
from tasks.copy import Copy
from tasks.repeat_copy import RepeatCopy
from tasks.turing.task import Turing

TASKS: dict[str, type[Task]] = {
    "binary_add": BinaryAdd,
    "binary_mul": BinaryMul,
    "copy": Copy,
    "repeat_copy": RepeatCopy,
    "turing": Turing,
}

__all__ = ["TASKS", "Batch", "BinaryAdd", "BinaryMul", "Copy", "RepeatCopy", "Score", "Task", "Turing"]
