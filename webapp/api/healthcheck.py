"""The container's health check, C(python -m healthcheck) in this directory."""

import sys

sys.path.append("..")  # where the shared package lies, in the image as in the repository

from common.healthcheck import main  # noqa: E402

sys.exit(main())
