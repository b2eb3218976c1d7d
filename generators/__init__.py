"""Models that draw images from reference images and seeds. They know no datasets and no command line."""
