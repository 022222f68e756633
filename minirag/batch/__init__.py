"""The Batch API: model calls at half the price and under a quota of their own, for replies within a day."""

from minirag.batch.batches import Batches as Batches
