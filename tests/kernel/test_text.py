"""Sentences end where readers see it."""

import pytest
from hypothesis import given, strategies as st

from minirag.text import sentence_spans


@pytest.mark.parametrize(
    "marked",
    [
        "Revenue rose 3.5%. |Costs fell.",
        "Dr. Lee of Acme Inc. paid Mr. J. R. Smith. |He left.",
        "It is made by Acme Inc. |The firm is old.",
        "See No. 5 and Fig. 3. |Is it? |No. |Then stop.",
        'He said "Stop!" |She did. |"Why?" he asked.',
        "Wait... what? |Well… |Then go. |He paid (a lot.) |Done.",
        "Loss e.g. of U.S. Treasury notes. |Visit example.com. |Bye",
        "Am 3. Oktober fuhr er ab. |Das war 1990. |Dann kam z. B. Herr Dr. Kohl.",
        "他来了。|「真的？」|是的！|好",
        "営業利益は増加した。|次に、費用を見る。",
        "Items:\n|1. Foo is big.\n|2. Bar\n|• One\n|• Two\n|- three\n\n|End",
        "# Title\n\n|Text goes on\nhere. |More",
        "A first line\nthat goes on.\n\n\n|Next paragraph",
        "  Leading space. |Then text.  \n",
        "Contents . . . . 12\nof it",
        "fiscal 2022. |In 2021, less.",
    ],
)
def test_sentences_end_at_the_marked_places(marked):
    text = marked.replace("|", "")
    assert [text[a:b] for a, b in sentence_spans(text)] == marked.split("|")


@given(st.text(st.sampled_from("aB1 .!?…\n\t。！」)\"'•-#NoDr"), max_size=80))
def test_spans_tile_any_text_and_only_the_first_may_start_with_a_space(text):
    spans = sentence_spans(text)
    assert "".join(text[a:b] for a, b in spans) == text
    assert all(a < b for a, b in spans)
    assert all(text[a:b].strip() for a, b in spans) or not text.strip()
