"""Row 9. One module a command that is no step of a run; each has `main(given)`, which returns the exit code.

`given` holds the options that the command line names, and only those.
"""
