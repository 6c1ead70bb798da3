"""What the benchmark scripts share: texts, sets, encoder, tables, rows on disk, processes, versions."""
