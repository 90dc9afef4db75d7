"""Torch modules that the project trains. They know tensors only: no file, no raster, no caption."""
