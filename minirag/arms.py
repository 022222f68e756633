"""Row 1. Whose answers are judged: four arms, in the order in which every table shows them.

`base` is the student as it comes, `control` the same model with a better prompt, which costs nothing to train, `tuned`
the student after training, and `teacher` the model that it learned from.
"""

ARMS = ("base", "control", "tuned", "teacher")
COMPARED = ("base", "teacher", "control")
"""The arms that the tuned model is compared with."""
