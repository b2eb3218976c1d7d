"""The accuracies that a result holds: how tables ask for them, and what they are called."""

from __future__ import annotations

METRICS = {
    "last": "accuracy_last",
    "best_on_test": "accuracy_best_on_test",
    "best_on_validation": "accuracy_at_best_validation",
    "validation": "validation_accuracy_last",
    "mean_class": "mean_class_accuracy",
    "ema_last": "ema_accuracy_last",
    "ema_best_on_test": "ema_accuracy_best_on_test",
}
ON_VALIDATION = ("best_on_validation", "validation")  # need data.validation_per_class
TITLES = {
    "last": "test accuracy (%) after the last step",
    "best_on_test": "test accuracy (%), best evaluation on the test set",
    "best_on_validation": "test accuracy (%) at the best evaluation on validation images",
    "validation": "accuracy (%) on validation images after the last step",
    "mean_class": "mean of the classes' test accuracies (%) after the last step",
    "ema_last": "test accuracy (%) of averaged weights after the last step",
    "ema_best_on_test": "test accuracy (%) of averaged weights, best evaluation on the test set",
}
