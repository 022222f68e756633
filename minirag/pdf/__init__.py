"""Pages of a PDF, read by pypdf in child processes with limits of time and memory; headers and footers removed."""

from minirag.pdf.cleaning import clean_characters, clean_pages
from minirag.pdf.reader import MEMORY, PAGE_SECONDS, RawPage, read_pdf

__all__ = ["MEMORY", "PAGE_SECONDS", "RawPage", "clean_characters", "clean_pages", "read_pdf"]
