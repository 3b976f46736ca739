"""Known plaintext by a network: a multilayer perceptron from tokens to bits.

One hidden layer may learn what no linear rule can, such as the XOR of a few tokens' bits, where
enough known pairs show it. The beginning of an attack on schemes whose law nobody has worked out;
where the law is known, `bylaw` has it exactly and needs no learning.
"""

from __future__ import annotations

import warnings

import numpy as np

from linkage.risk.known import fit
from linkage.risk.view import Rows, Trial, bits_of

HIDDEN = 256
EPOCHS = 40


def by_network(trial: Trial, told: Rows, seed: int) -> Rows:
    """Guesses for every row of the view.

    Args:
        trial: its register's tokens are what is learned from; neither its law nor its encodings.
        told: rows whose person is known; some hundred at least teach anything.
        seed: of the first weights.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    tokens = trial.register.tokens.astype(np.float32)
    network = MLPClassifier((HIDDEN,), max_iter=EPOCHS, learning_rate_init=3e-3, random_state=seed)
    with warnings.catch_warnings():
        # So many epochs and no more: it is not to learn known people by heart.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(tokens[trial.truth[told]], bits_of(trial.view.words[told]))
    middle = bits_of(trial.view.words[told]).mean(axis=0)
    return fit(
        trial, told, lambda people: (network.predict_proba(tokens[people]) - middle).astype("f4")
    )
