"""`inventory`: the command-line client of the inventory service. It knows only the protos."""
