"""Programs that use the client library, each short enough to be read in two minutes."""
