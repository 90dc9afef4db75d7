"""Results as files: rasters, vectors, styles, pictures. Writers take arrays; they compute nothing."""
