"""`minirag init`: writes a commented `minirag.toml`, whose settings `run` and its steps read in the same folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say
from minirag.errors import InputError
from minirag.message_log import write_atomically

SETTINGS_FILE = Path("minirag.toml")
TEMPLATE = """\
# Settings of minirag. `minirag run DOC… --out DIR`, its steps, `plan` and `evaluate FILE` read this file in the folder
# where they are started; addresses (…base-url, store) in it need --config minirag.toml. Options of the command line
# win over it. Every option of `minirag run --help-all` may stand here, without its dashes: a number or "text" for its
# value, true for an option without one, a list for an option that may be repeated. Keys never stand here: they come
# from the environment.

# -- models: fill in four names ---------------------------------------------------------------------------------------
teacher = ""      # large model whose answers are learned
student = ""      # small model that is tuned on them
judge = ""        # model that scores all answers; better not the teacher's maker
embedding = ""    # model that embeds chunks and questions
# tuned = ""      # a model that is tuned already; no job is started then

# -- services: OpenAI, unless named -----------------------------------------------------------------------------------
# base-url = "http://localhost:8000/v1"          # serves every role below that has no address
# teacher-base-url = "https://HOST/v1"           # key in MINIRAG_TEACHER_API_KEY
# student-base-url = "https://HOST/v1"           # also trains; key in MINIRAG_STUDENT_API_KEY
# judge-base-url = "https://HOST/v1"             # key in MINIRAG_JUDGE_API_KEY
# embedding-base-url = "https://HOST/v1"         # key in MINIRAG_EMBEDDING_API_KEY
# tuned-base-url = "https://HOST/v1"             # key in MINIRAG_TUNED_API_KEY
# teacher-option = ["reasoning_effort=low"]      # fields of each request to the teacher; likewise for the other roles

# -- how much, and at what price --------------------------------------------------------------------------------------
# train-questions = 80           # or a file with a question a line
# eval-questions = 40
# max-cost = 5.0                 # hard cap in US dollars on all calls of the run's folder
# prices = "prices.toml"         # your own prices, in the form of minirag/data/prices.toml

# -- what counts as a difference --------------------------------------------------------------------------------------
# margin = 0.05                  # smallest difference in a score that matters to you
# metrics = "faithfulness,answer_relevancy"
# rounds = 1                     # how often each answer is judged
"""


def main(options: Mapping[str, Any]) -> int:
    """Write the file, unless there is one."""
    if SETTINGS_FILE.exists():
        raise InputError(f"There is a {SETTINGS_FILE} already; edit it, or delete it first.")
    write_atomically(SETTINGS_FILE, TEMPLATE.encode())
    say(f"{SETTINGS_FILE} written; fill in the models, then: minirag run report.pdf --out out")
    return 0
