"""PDFs that tests make."""

from collections.abc import Callable
from io import BytesIO

WORDS = "amber birch cedar delta ember flint grove heath islet jetty knoll ledge marsh north ochre plain quarry".split()


def make_pdf(*pages: str) -> bytes:
    """A PDF with one page per text, a line of it per line."""
    from reportlab.pdfgen.canvas import Canvas

    out = BytesIO()
    canvas = Canvas(out)
    for page in pages:
        for number, line in enumerate(page.split("\n")):
            canvas.drawString(60, 780 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def form_pdf(text: str) -> bytes:
    """A PDF with one page: this text, and a form with two fields, a choice and a box filled in and two left empty."""
    from reportlab.pdfgen.canvas import Canvas

    out = BytesIO()
    canvas = Canvas(out)
    canvas.drawString(60, 780, text)
    form = canvas.acroForm
    form.textfield(name="name", tooltip="Name of the mill", value="Old Grove", x=60, y=700)
    form.textfield(name="year", value="1904", x=60, y=660)
    form.textfield(name="owner", value="", x=60, y=620)
    form.choice(name="grain", value="rye", options=["rye", "oats"], x=60, y=580, width=90, height=20)
    form.checkbox(name="open", tooltip="Open on Sundays", checked=True, x=60, y=540)
    form.checkbox(name="sold", checked=False, x=60, y=500)
    canvas.save()
    return out.getvalue()


def edited_pdf(change: Callable[..., None], *pages: str) -> bytes:
    """The same after `change` was called with a pypdf writer of it."""
    import pypdf

    writer = pypdf.PdfWriter(clone_from=BytesIO(make_pdf(*pages)))
    change(writer)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def drawn_pdf(*contents: bytes | None) -> bytes:
    """A PDF with one page per content stream, compressed; None is a page that says "Fine."; /F1 is Helvetica."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, NameObject

    def draw(writer: PdfWriter) -> None:
        for page, content in zip(writer.pages, contents, strict=True):
            if content is not None:
                stream = DecodedStreamObject()
                stream.set_data(content)
                page[NameObject("/Contents")] = writer._add_object(stream.flate_encode())

    return edited_pdf(draw, *["Fine."] * len(contents))
