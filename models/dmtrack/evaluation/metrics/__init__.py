"""What benchmarks count, as functions of arrays: no files, no folders."""
