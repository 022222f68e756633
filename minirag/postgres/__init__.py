"""An index in PostgreSQL with pgvector: for several processes, and for more chunks than fit in memory (README.md)."""

from minirag.postgres.connection import Database as Database
from minirag.postgres.store import PostgresVectorStore as PostgresVectorStore, shared_index as shared_index
