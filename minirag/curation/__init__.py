"""Which training rows and questions are worth having, and why not; `check` for any chat file; a person's decisions."""

from minirag.curation.answers import CLASSES, abstains
from minirag.curation.chat_file import Checked, check_files, curate_file
from minirag.curation.examples import review_examples, write_training_file, write_validation_file
from minirag.curation.questions import DECISIONS, Decision, decided, flag_questions, read_decisions, write_decisions

__all__ = [
    "CLASSES",
    "DECISIONS",
    "Checked",
    "Decision",
    "abstains",
    "check_files",
    "curate_file",
    "decided",
    "flag_questions",
    "read_decisions",
    "review_examples",
    "write_decisions",
    "write_training_file",
    "write_validation_file",
]
