"""From answers to a verdict. Read `score`, `judge`, `faithfulness`, any other metric, `evaluation`, `comparison`.

A metric takes question, answer and contexts, asks a `judge` (a chat model, or a `Judge` with window and tags), and
returns a `Score`: a value in [0, 1], or None with the reason, for instance a reply that is unusable twice in a row, or
something that does not fit the judge's window. It raises ServiceError if a call fails.
"""

from minirag.metrics.judge import Judge as Judge
from minirag.metrics.score import Score as Score
