"""Which training rows and questions are worth having, and why not; `check` for any chat file."""

from minirag.curation.chat_file import Checked as Checked, check_file as check_file, curate_file as curate_file
from minirag.curation.questions import flag_questions as flag_questions
from minirag.curation.rules import (
    CLASSES as CLASSES,
    review_examples as review_examples,
    write_training_file as write_training_file,
)
