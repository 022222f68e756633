"""The command line: `main` runs the command that its arguments name; one file a command."""
