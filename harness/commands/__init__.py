"""The commands, a file each: its options, its call, its view. `harness/__main__.py` names them."""
