"""Which training rows and questions are worth having, and why not; `check` for any chat file; a person's decisions."""

from minirag.curation.chat_file import Checked as Checked, check_files as check_files, curate_file as curate_file
from minirag.curation.examples import (
    review_examples as review_examples,
    write_training_file as write_training_file,
)
from minirag.curation.questions import (
    DECISIONS as DECISIONS,
    Decision as Decision,
    decided as decided,
    flag_questions as flag_questions,
    read_decisions as read_decisions,
    write_decisions as write_decisions,
)
from minirag.curation.rules import CLASSES as CLASSES, abstains as abstains
