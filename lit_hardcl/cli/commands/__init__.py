"""The commands that are no subcommand of LightningCLI: a module each, whose ``command`` is what runs."""
