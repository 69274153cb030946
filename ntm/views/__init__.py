"""What people see: pictures and scalars in TensorBoard, the progress bar, space-time diagrams."""
