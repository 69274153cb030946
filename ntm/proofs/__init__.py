"""What can be proved of a learned machine: searches, margins, and the machine read back out."""
