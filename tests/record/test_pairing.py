import pytest

from convviz_widgets.record import Pair, paired


@pytest.mark.parametrize(
    ("training", "validation", "name"),
    [
        ("loss/train", "loss/val", "loss"),
        ("train_loss", "val_loss", "loss"),
        ("train/acc", "accuracy/validation", "accuracy"),
        ("trainLoss", "testLoss", "loss"),
        ("loss", "val_loss", "loss"),
        ("accuracy", "eval/accuracy", "accuracy"),
        ("train/epoch_loss", "validation/epoch_loss", "epoch loss"),
        ("loss_train/loss", "loss_val/loss", "loss"),
        ("train_loss_epoch", "val_loss", "loss epoch"),
        ("Train/top5_acc", "Valid/top5_acc", "top 5 accuracy"),
        ("train", "val", "train"),
    ],
)
def test_names_that_belong_together(training, validation, name):
    assert paired([validation, training]) == (Pair(name, training, validation),)
    assert paired([training, validation, "learning_rate"]) == (Pair(name, training, validation),)


@pytest.mark.parametrize(
    "names",
    [
        ["loss/train", "accuracy/val"],
        ["loss", "accuracy"],
        ["val_loss"],
        ["trainable_loss", "val_accuracy"],
        ["train_val_loss", "val_accuracy"],
        ["gradient_norm/train.weight", "gradient_norm/val.weight"],
    ],
)
def test_names_that_do_not(names):
    assert paired(names) == ()


def test_a_validation_set_goes_before_a_test_set():
    assert paired(["loss/train", "loss/test", "loss/val"]) == (
        Pair("loss", "loss/train", "loss/val"),
    )


def test_pairs_stand_in_the_order_of_the_training_metrics():
    names = ["val/b", "val/a", "train/a", "train/b"]
    assert [pair.name for pair in paired(names)] == ["a", "b"]
