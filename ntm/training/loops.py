"""Where Lightning's loops begin when a run goes on: made from our own counters, never read from a file."""

import lightning as L

from ntm.training.module import LitModel


def set_counters(trainer: L.Trainer, module: LitModel) -> None:
    """Tell Lightning how many updates are made, and whether a validation comes first.

    A state between two updates, as its loops write it themselves: whatever moment a run was cut at, it goes on from such a one.
    """
    updates = module.progress.updates
    if updates == 0:
        return
    state = trainer.fit_loop.state_dict()
    done = dict.fromkeys(("ready", "started", "processed", "completed"), updates)
    state["epoch_loop.batch_progress"].update(total=done, current=dict(done))
    stepped = {"ready": updates, "completed": updates}
    state["epoch_loop.manual_optimization.optim_step_progress"].update(total=stepped, current=dict(stepped))
    state["epoch_loop.state_dict"]["_batches_that_stepped"] = updates
    begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    state["epoch_progress"].update(total=begun, current=dict(begun))
    if module.owes_validation:  # one that began and did not end is run from its beginning
        state["epoch_loop.val_loop.batch_progress"].update(total=dict(begun), current=dict(begun))
    trainer.fit_loop.load_state_dict(state)
