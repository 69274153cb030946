"""The last question to a model that seems to be right: all the sequences that its task can name."""

from ntm.models import Model
from tasks import Task


def wrong_on_any(task: Task, model: Model) -> bool:
    """Whether the model is wrong on any of `Task.every`, asked until one is found; False where there are none."""
    return any(model.judge(task, batch, length).wrong_sequences for length, batch in task.every())
