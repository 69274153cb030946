"""The tasks, by the name used in `task=<name>`."""

from tasks.arithmetic import RealArithmetic
from tasks.base import Batch, Score, Task
from tasks.binary_add import BinaryAdd
from tasks.binary_mul import BinaryMul
from tasks.clock import Clock
from tasks.copy import Copy
from tasks.digit_sum import DigitSum
from tasks.identity import Identity
from tasks.parallel_mul import ParallelMul
from tasks.product_text import ProductText
from tasks.repeat_copy import RepeatCopy
from tasks.turing.task import Turing
from tasks.written_mul import WrittenMul

TASKS: dict[str, type[Task]] = {
    "arithmetic": RealArithmetic,
    "binary_add": BinaryAdd,
    "binary_mul": BinaryMul,
    "clock": Clock,
    "copy": Copy,
    "digit_sum": DigitSum,
    "identity": Identity,
    "parallel_mul": ParallelMul,
    "product_text": ProductText,
    "repeat_copy": RepeatCopy,
    "turing": Turing,
    "written_mul": WrittenMul,
}

__all__ = [
    "TASKS",
    "Batch",
    "BinaryAdd",
    "BinaryMul",
    "Clock",
    "Copy",
    "DigitSum",
    "Identity",
    "ParallelMul",
    "ProductText",
    "RealArithmetic",
    "RepeatCopy",
    "Score",
    "Task",
    "Turing",
    "WrittenMul",
]
