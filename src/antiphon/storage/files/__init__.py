"""Files and uploads: their rows. What they hold lies in ``antiphon.files``."""
