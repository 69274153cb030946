"""The last question to a model that seems to be right: all the sequences that its task can name."""

from ntm.models import Model
from ntm.models.base import device_of
from tasks import Task


def wrong_on_any(task: Task, model: Model) -> bool:
    """Whether the model is wrong on any of `Task.every`, asked until one is found; False where there are none."""
    for length, batch in task.every():
        there = batch.to(device_of(model))
        if task.score(model.logits(there, model.room_for(task.room(length))), there).wrong_sequences:
            return True
    return False
