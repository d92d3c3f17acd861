"""The subcommands that are no training: a module each, whose ``command`` is what runs, its signature the options."""
