"""gunicorn reads this file because it lies in the working directory; the settings are the same for both tiers."""

import sys

sys.path.append("..")  # where the shared package lies, in the image as in the repository

from common import logs  # noqa: E402
from common.gunicorn_settings import *  # noqa: E402, F403

logs.configure("api")
