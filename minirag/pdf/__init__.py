"""Pages of a PDF, read by pypdf in child processes with limits of time and memory; headers and footers removed."""

from minirag.pdf.cleaning import clean_characters as clean_characters, clean_pages as clean_pages
from minirag.pdf.reader import read_pdf as read_pdf
