"""A generated world of arithmetic word problems: the embedded default, which needs no network and no hub."""
