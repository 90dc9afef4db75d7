"""The jobs as Processing algorithms: headless, in batch, in models, under ``qgis_process``."""
