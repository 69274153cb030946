"""How it is learned: one update, the batches it is made on, the curriculum, clipping and the optimisers."""
