"""Real models on this machine: an engine of transformers and peft behind the server, and the trainer of its students.

It runs as a process of its own, `python -m minirag.local`, which `minirag serve` and `minirag train` start: torch takes
seconds to load and much memory, so nothing else of minirag imports this room.
"""
