"""What goes in: images as the model takes them, and the data sets they come from."""

from convviz_widgets.images.duplicates import (
    Duplicates,
    Leak,
    find_duplicates,
    find_leak,
    find_repeated_batches,
    sample_digests,
)
from convviz_widgets.images.image_set import ImageSet, as_image_set
from convviz_widgets.images.input_statistics import InputStatistics, input_statistics
from convviz_widgets.images.loader_batches import LoaderBatch, loader_batches

__all__ = [
    "Duplicates",
    "ImageSet",
    "InputStatistics",
    "Leak",
    "LoaderBatch",
    "as_image_set",
    "find_duplicates",
    "find_leak",
    "find_repeated_batches",
    "input_statistics",
    "loader_batches",
    "sample_digests",
]
