"""When an answer is right: where it is found in an output, and when it equals the reference."""
