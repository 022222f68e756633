"""content_stream.py: what it parses is what pypdf's own parser gives, object by object and type by type."""

import logging
from io import BytesIO
from pathlib import Path

import pypdf
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pypdf.errors import LimitReachedError
from pypdf.generic import ContentStream

from minirag.pdf.content_stream import operations, parse_contents
from pdfs import drawn_pdf

SHARED = Path(__file__).parents[3] / "shared"
PIECES = (
    "BT|ET|q|Q|Tj|TJ|T*|'|\"|Td|re|RG|R|BI|ID|EI|BIx|stream|scn|true|null|n|f*|endobj|xyz\0|Tj\x0b"
    "|0|1|-20|.5|+3|1.|-.5|--1|1-2|1,5|1.2.3|12345678901234567890123|15.66000000000000014|1 0 R|1 0 R |0 0 RG"
    "|/F1|/|/A#20B|/A#2|/Na\0me|/\xe9|/N\xff#e4|<41>|<4 1\n4>|<>|<4x>|<|>|<FEFF0041>"
    "|()|(a)|(a(b)c)|(a(b(c)))|(\\))|(\\\\)|(\\12)|(\\777)|(\\\n)|(\\q)|(\r\n)|(\0a)|(\xfe\xff)|(|)|\\"
    "|[|]|[(To) -20 <6461>]|[1 2]0 d|[[1] 2]|[/A]|[null true]|[% ]\n1]|[1 0 R ]|[1\x0b2]"
    "|<<>>|<</A 1>>|<</A/B/C<41>/D(x)/E[1 (y) 2]>>|<</A 1/A 2>>|<</A>>|<</A<</B 1>>>>|<</A null>>|<</A 1 0 R>>|<<"
    "|>>|<</A 1>>stream\nx|%|% comment\n|\n|\r\n|\0|\x0b|\x0c|{|}|\x80"
).split("|")
any_stream = st.lists(
    st.one_of(st.sampled_from(PIECES).map(lambda piece: piece.encode("latin-1")), st.binary(max_size=3)), max_size=25
).flatmap(lambda parts: st.sampled_from((b" ", b"", b"\n")).map(lambda between: between.join(parts)))
DRAWING = (
    b" q .24 0 0 -.24 0 792 cm\nq\n75.93 75.9375 2399.0623 2505.9375 re\nW* n\n/G3 gs .6 .6 .6 RG\nBT\n/F4 10.65 Tf\n"
    b"/Span<</ActualText <FEFF00A0> >> BDC\n1 0 0 -1 0 35727 Tm <0037> Tj\n5.3 0 Td[(W)80(or\\(d\\))-333.5 <41>]TJ "
    b"EMC ET\n/P <</MCID 0 /Lang (en-US)>>BDC (Done) ' 1 2 (more) \" EMC\n/Fm0 Do Q Q [3 2] 0 d 0 0 m 7 7 l S\n"
)


def typed(value):
    """`value` with the type of every part, since an int equals a float and a name a string."""
    if isinstance(value, list | tuple):
        return type(value), [typed(part) for part in value]
    if isinstance(value, dict):
        return type(value), [(typed(key), typed(part)) for key, part in value.items()]
    return type(value), value


def by_pypdf(data):
    """What pypdf's own parser gives; the error if it gives one."""
    stream = ContentStream(None, None, "bytes")
    stream.set_data(data)
    try:
        return typed(stream.operations)
    except Exception as error:
        return error


def check(data):
    """True if `data` was parsed here, and as pypdf does."""
    parsed = operations(data)
    if parsed is None:
        return False
    assert by_pypdf(data) == typed(parsed)
    return True


def test_only_what_nobody_can_change_is_shared_between_pages() -> None:
    data = b"/F1 9 Tf /Span << /MCID 0 >> BDC [(To)] TJ"
    (font, _), (span, _), (shown, _) = operations(data)
    (again, _), (other, _), (line, _) = operations(data)
    assert font[0] is again[0]
    assert span[1] == other[1]
    assert span[1] is not other[1]
    assert shown[0] is not line[0]


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "pypdf")


def test_a_drawing_with_all_common_operands_is_parsed_here():
    assert check(DRAWING)


@given(any_stream)
@example(b"1" * 19 + b" w")
@example(b"1" * 40 + b" w")
@example(b"-" + b"1" * 63 + b" w")
@example(b"/" + b"N" * 99 + b" gs")
@example(b"/" + b"N" * 5000 + b" gs")
@example(b"operator" * 20)
@settings(max_examples=600, deadline=None)
def test_whatever_is_parsed_here_is_what_pypdf_gives(data):
    check(data)


@given(st.data())
@settings(max_examples=600, deadline=None)
def test_a_drawing_with_spoilt_bytes_is_parsed_as_by_pypdf_or_left_to_it(data):
    spoilt = bytearray(DRAWING)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(spoilt)))
        removed = data.draw(st.integers(0, 3))
        spoilt[at : at + removed] = data.draw(
            st.one_of(st.binary(max_size=2), st.sampled_from(b"()<>[]/ R.-%\\\0n").map(lambda byte: bytes([byte])))
        )
    check(bytes(spoilt))


@pytest.mark.parametrize(
    "left", [b"q BI /W 1 /H 1 ID x EI Q", b"[[1] 2] TJ", b"% said\nq", b"1 0 R w", b"(a", b"]", b"{"]
)
def test_what_is_not_plain_is_left_to_pypdf(left):
    assert operations(left) is None


def test_an_array_beyond_the_limit_of_pypdf_is_left_to_it():
    data = b"[" + b"1 " * 100_001 + b"] TJ"
    assert operations(data) is None
    assert isinstance(by_pypdf(data), LimitReachedError)


def test_every_page_of_the_collected_pdfs_is_parsed_alike():
    paths = sorted(SHARED.rglob("*.pdf"))
    if not paths:
        pytest.skip("needs ../shared/pdf and ../shared/nvidia-10k, 116 PDFs")
    here = {True: 0, False: 0}
    for path in paths:
        try:
            reader = pypdf.PdfReader(path)
            if reader.is_encrypted:
                reader.decrypt("")
            pages = list(reader.pages)
        except Exception:  # some are broken on purpose
            continue
        for page in pages[:20]:
            content = page.get_contents()
            if content is not None:
                here[check(content.get_data())] += 1
    assert here[True] > 50 * here[False]


def test_a_page_gives_the_same_text_and_keeps_other_contents_as_they_are():
    inline = b"q BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q BT /F1 9 Tf 9 700 Td (Beside an image.) Tj ET"
    told = b"BT /F1 9 Tf 9 700 Td [(W)80(ords)] TJ 0 -12 Td (of \\(a\\) page.) Tj ET"
    data = drawn_pdf(told, inline, b"(")
    for plain, page in zip(pypdf.PdfReader(BytesIO(data)).pages, pypdf.PdfReader(BytesIO(data)).pages, strict=True):
        before = page.raw_get("/Contents")
        parse_contents(page)
        assert (page.raw_get("/Contents") is not before) == (b"ords" in plain.get_contents().get_data())
        assert text(plain) == text(page)


def text(page):
    try:
        return page.extract_text(visitor_text=lambda *_: None)
    except Exception as error:
        return repr(error)


def test_a_page_that_cannot_give_its_contents_is_left_to_pypdf():
    class Broken:
        def get_contents(self):
            raise AttributeError("another pypdf")

    parse_contents(Broken())
