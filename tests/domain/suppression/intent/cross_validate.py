"""``python -m tests.domain.suppression.intent.cross_validate`` prints how unseen writers are read.

Each blind writer's texts are read with a model that was trained on the other writers' alone. This
is what phrases, thresholds and training are tuned by; the held-out sets are not.
"""

import sys

from tests.domain.suppression.intent.measure import blind_table, outcomes
from tests.domain.suppression.intent.train import calibrated, calibration, texts, without_each

if __name__ == "__main__":
    learned = texts()
    unseen = without_each(learned)
    line = calibration(learned, unseen)
    found = {
        writer: outcomes(
            [(text.label, text.body) for text in learned if text.writer == writer],
            calibrated(model, *line).likelihood,
        )
        for writer, model in unseen.items()
    }
    sys.stdout.write(blind_table(found))
