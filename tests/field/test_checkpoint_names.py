"""What the numbers in real projects' file names mean, and what a series makes of them."""

import os
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.checkpoints import TrainingTime, time_in_name

# Each table: file name to (step, epoch, bare number).
SCRIPTS = {  # the usual schemes of scripts
    "model_9.pt": (None, None, 9),
    "07.pt": (None, None, 7),
    "a_1.pt": (None, None, 1),
    "checkpoint.0012.pt": (None, None, 12),
    "model.7.pt": (None, None, 7),
    "ckpt-12.pt": (None, None, 12),
    "epoch_12.pth": (None, 12, None),
    "epoch_0.pt": (None, 0, None),
    "Epoch 12.pth": (None, 12, None),
    "model.ep3.pt": (None, 3, None),
    "e12.pt": (None, 12, None),
    "E012.pth": (None, 12, None),
    "model_e12.pt": (None, 12, None),
    "it_500.pt": (500, None, None),
    "itr-500.pt": (500, None, None),
    "iter-1.5M.pth": (1_500_000, None, None),
    "model_10k.pt": (None, None, 10_000),
    "model-0.5K.pt": (None, None, 500),
    "step_20001024.pt": (20_001_024, None, None),
    "epoch10_iter2000.pth": (2000, 10, None),
    "epoch_100_step_2k.pt": (2000, 100, None),
    "5_epochs.pt": (None, 5, None),
    "net_7_epoch.pt": (None, 7, None),
    "model_5_epoch_100_step.pt": (100, 5, None),
    "step1000-of-5000.pt": (1000, None, None),
    "epoch_10_of_90.pth": (None, 10, None),
    "epoch10of90.pth": (None, 10, None),
    "globalStep100.pt": (100, None, None),
    "modelEpoch7.pth": (None, 7, None),
    "epoch:3-step:400.ckpt": (400, 3, None),
    "EPOCH=12.pt": (None, 12, None),
    "epoch_3_a.pt": (None, 3, None),
    "best.pt": (None, None, None),
    "last.pt": (None, None, None),
}
LIGHTNING = {  # PyTorch Lightning
    "epoch=3-step=1200.ckpt": (1200, 3, None),
    "epoch=3-step=1200-v1.ckpt": (1200, 3, None),
    "epoch=01-val_loss=1.53.ckpt": (None, 1, None),
    "best-val_loss=0.23.ckpt": (None, None, None),
    "last.ckpt": (None, None, None),
    "last-v1.ckpt": (None, None, None),
    "epoch=9-v2-v1.ckpt": (None, 9, None),
    "epoch=3-val_acc1=93.ckpt": (None, 3, None),
    "epoch=3-step=400-val_f1=0.5.ckpt": (400, 3, None),
    "sample-mnist-epoch=02-val_loss=0.32.ckpt": (None, 2, None),
    "loss_epoch=2.ckpt": (None, None, None),
    "train_loss_epoch=2-epoch=5.ckpt": (None, 5, None),
    "version_0/checkpoints/epoch=0-step=100.ckpt": (100, 0, None),
    "07-val_loss=0.25.ckpt": (None, None, 7),
}
RELEASES = {  # timm and torchvision
    "checkpoint-3.pth.tar": (None, None, 3),
    "model_best.pth.tar": (None, None, None),
    "last.pth.tar": (None, None, None),
    "resnet18-f37072fd.pth": (None, None, None),
    "resnet34-b627a593.pth": (None, None, None),
    "vgg16-397923af.pth": (None, None, None),
    "squeezenet1_0-b66bff10.pth": (None, None, None),
    "wide_resnet50_2-95faca4d.pth": (None, None, None),
    "mnasnet1.0_top1_73.512-f206786ef8.pth": (None, None, None),
    "jx_vit_base_p16_224-80ecf9dd.pth": (None, None, None),
    "regnety_032.pt": (None, None, None),
    "vit_base_patch16_224.pt": (None, None, None),
    "efficientnet_b4_380_fold1.pth": (None, None, None),
    "swin_base_patch4_window12_384_22k.pth": (None, None, None),
}
DETECTION = {  # OpenMMLab, detectron2, ultralytics
    "iter_4000.pth": (4000, None, None),
    "best_mIoU_iter_8000.pth": (8000, None, None),
    "best_coco_bbox_mAP_epoch_12.pth": (None, 12, None),
    "latest.pth": (None, None, None),
    "faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth": (None, None, None),
    "resnet18_8xb32_in1k_20210831-fbbb1da6.pth": (None, None, None),
    "mask_rcnn_90e.pth": (None, None, None),
    "model_0004999.pth": (None, None, 4999),
    "model_final.pth": (None, None, None),
    "epoch10.pt": (None, 10, None),
    "yolov8n.pt": (None, None, None),
    "yolov5s6.pt": (None, None, None),
    "yolov7_training_299.pt": (None, None, 299),
}
OTHERS = {  # fairseq, ignite, Keras, fastai, StyleGAN, diffusion, pix2pix
    "checkpoint12.pt": (None, None, 12),
    "checkpoint_12_5000.pt": (5000, 12, None),
    "checkpoint_best.pt": (None, None, None),
    "checkpoint.best_loss_2.33.pt": (None, None, None),
    "best_model_12_val_acc=0.9.pt": (None, None, 12),
    "checkpoint_5000.pt": (None, None, 5000),
    "ep010-loss0.45-val_loss0.60.h5": (None, 10, None),
    "weights.03-0.52.ckpt": (None, None, 3),
    "weights_improvement_12_0.93.hdf5": (None, None, 12),
    "stage-1.pth": (None, None, None),
    "network-snapshot-010000.pkl": (None, None, 10_000),
    "model_10kimages.pt": (None, None, 10),
    "ema_0.9999_010000.pt": (None, None, 10_000),
    "sd-v1-4.ckpt": (None, None, None),
    "v1-5-pruned.ckpt": (None, None, None),
    "10_net_G.pth": (None, None, 10),
    "netG_epoch_7.pth": (None, 7, None),
    "u2net_bce_itr_2000_train_0.5_tar_0.1.pth": (2000, None, None),
    "rl_model_10000_steps.zip": (10_000, None, None),
    "moco_v2_800ep_pretrain.pth.tar": (None, 800, None),
}
FOLDERS = {  # folders of Hugging Face, Accelerate, DeepSpeed
    "checkpoint-500/model.safetensors": (500, None, None),
    "checkpoint-500/pytorch_model.bin": (500, None, None),
    "checkpoint-500/model.safetensors.index.json": (500, None, None),
    "step_500/model.safetensors": (500, None, None),
    "epoch_3/pytorch_model.bin": (None, 3, None),
    "global_step500/mp_rank_00_model_states.pt": (500, None, None),
    "checkpoint_000005/model.pt": (None, None, 5),
    "model-00001-of-00003.safetensors": (None, None, None),
}
NO_TIME = {  # numbers that are no time
    "resnet18.pt": (None, None, None),
    "vgg16.pth": (None, None, None),
    "ViT-B-16.pt": (None, None, None),
    "llama-7b.pt": (None, None, None),
    "f1_0.88.pt": (None, None, None),
    "val_loss=0.23.pt": (None, None, None),
    "best_top5_93.pt": (None, None, None),
    "acc1_76.pt": (None, None, None),
    "mAP50_45.pt": (None, None, None),
    "mAP50-95_0.45.pt": (None, None, None),
    "iou0.5.pt": (None, None, None),
    "fold3.pt": (None, None, None),
    "5fold_best.pt": (None, None, None),
    "kfold_2.pt": (None, None, None),
    "seed_42.pt": (None, None, None),
    "rank0.pt": (None, None, None),
    "lr0.001.pt": (None, None, None),
    "lr_1e-3_model.pt": (None, None, None),
    "bs64.pt": (None, None, None),
    "dropout_0.5.pt": (None, None, None),
    "cifar-10.pt": (None, None, None),
    "v1.2.pt": (None, None, None),
    "max_steps=10000.pt": (None, None, None),
    "warmup_steps_500.pt": (None, None, None),
    "timesteps1000.pt": (None, None, None),
    "steps_per_epoch_100.pt": (None, None, None),
    "model_2024-01-31.pt": (None, None, None),
    "model_20240131.pt": (None, None, None),
    "model_2024-01-31_12-30-00.pt": (None, None, None),
    "20240131-123000.pt": (None, None, None),
    "model_1706700000.pt": (None, None, None),
    "550e8400-e29b-41d4-a716-446655440000.pt": (None, None, None),
    "model (1).pt": (None, None, None),
}
BESIDE = {  # a time beside such numbers
    "resnet18-epoch3.pth": (None, 3, None),
    "in1k-epoch7.pt": (None, 7, None),
    "model_epoch_12_acc_93.pth": (None, 12, None),
    "model_epoch_12_acc_93.5.pth": (None, 12, None),
    "acc_93_epoch_3.pt": (None, 3, None),
    "fold_3_epoch_7.pt": (None, 7, None),
    "epoch3_fold1.pt": (None, 3, None),
    "seed42_epoch7.pt": (None, 7, None),
    "lr0.001_bs64_epoch20.pt": (None, 20, None),
    "model_step_500_lr_5e-05.pt": (500, None, None),
    "num_epochs=30-epoch=4.ckpt": (None, 4, None),
    "unet_224x224_7.pt": (None, None, 7),
    "resnet18_7.pt": (None, None, 7),
    "cifar10_resnet18_12.pt": (None, None, 12),
    "run_2_model_7.pt": (None, None, 7),
    "20240131_123000_epoch4.pt": (None, 4, None),
    "2024-01-31T12:30:00_step_500.pt": (500, None, None),
    "vit_base_patch16_224_epoch5.pt": (None, 5, None),
    "epoch_5 (1).pt": (None, 5, None),
    "model_v2_3.pt": (None, None, 3),
}
NAMES = SCRIPTS | LIGHTNING | RELEASES | DETECTION | OTHERS | FOLDERS | NO_TIME | BESIDE


@pytest.mark.parametrize("name", NAMES)
def test_a_number_counts_as_what_its_name_says(name: str) -> None:
    assert time_in_name(name) == TrainingTime(*NAMES[name])


def saved(folder: Path, name: str, **beside: object) -> None:
    """Save weights that are told by their name, long ago: then nobody waits for them to settle."""
    folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
    weights = {"a": torch.tensor([float(sum(map(ord, name)))])}
    torch.save({"state_dict": weights, **beside}, folder / name)
    os.utime(folder / name, (10**9, 10**9))


def series_of(folder: Path, *names: str, **options: object) -> cvw.CheckpointSeries:
    for name in names:
        saved(folder, name)
    return cvw.CheckpointSeries.from_directory(folder, **options)


def assert_true_to_names(series: cvw.CheckpointSeries) -> None:
    """Check that what is loaded at an index is what the name there was saved with."""
    for name, key in zip(series.names, series.keys, strict=True):
        assert series.load_key(key)["a"].item() == sum(map(ord, name)), name
    assert list(series.steps) == sorted(set(series.steps))


def test_epochs_are_shown_as_epochs_and_best_by_its_name(tmp_path: Path) -> None:
    series = series_of(tmp_path, "epoch_2.pt", "epoch_10.pt", "best.pt", "last-v1.pt")
    assert (series.steps, series.unit) == ((2, 10, 11, 12), "epoch")
    assert series.labels == ("epoch 2", "epoch 10", "best.pt", "last-v1.pt")
    assert_true_to_names(series)


def test_of_two_numbers_the_step_counts_and_both_are_kept(tmp_path: Path) -> None:
    series = series_of(tmp_path, "epoch=0-step=90.ckpt", "epoch=1-step=180.ckpt", "last.ckpt")
    assert (series.steps, series.unit) == ((90, 180, 181), "step")
    assert series.times == (TrainingTime(90, 0), TrainingTime(180, 1), TrainingTime())
    assert series.labels == ("step 90", "step 180", "last.ckpt")


def test_the_unit_of_bare_numbers_is_not_known(tmp_path: Path) -> None:
    series = series_of(tmp_path, "model_1.pt", "model_12.pt")
    assert (series.steps, series.unit) == ((1, 12), "checkpoint")
    assert series.labels == ("model_1.pt", "model_12.pt")
    assert series.times[1] == TrainingTime(number=12)


def test_a_file_without_a_number_takes_no_place_from_others(tmp_path: Path) -> None:
    folds = [f"best_fold{i}.pt" for i in (1, 2, 10)]
    series = series_of(tmp_path, "epoch_1.pt", *folds, "resnet18.pt", "resnet50.pt")
    assert series.names == ("epoch_1.pt", *folds, "resnet18.pt", "resnet50.pt")
    assert series.problems == {}
    assert_true_to_names(series)


def test_depths_among_numbers_that_count_do_count(tmp_path: Path) -> None:
    counted = series_of(tmp_path / "a", *(f"resnet_{i}.pt" for i in range(16, 21)))
    assert counted.steps == (16, 17, 18, 19, 20)
    assert_true_to_names(counted)
    depths = series_of(tmp_path / "b", "resnet_18.pt", "resnet_50.pt")
    assert (depths.steps, depths.labels) == ((0, 1), ("resnet_18.pt", "resnet_50.pt"))


def test_epochs_among_pairs_get_their_step_where_the_pairs_tell(tmp_path: Path) -> None:
    pairs = ["epoch=0-step=100.ckpt", "epoch=1-step=200.ckpt", "step=300.ckpt", "step=500.ckpt"]
    series = series_of(tmp_path, *pairs, "epoch=3.ckpt")
    assert (series.steps, series.unit) == ((100, 200, 300, 400, 500), "step")
    assert series.labels[3] == "step 400"
    assert series.times[3] == TrainingTime(400, 3)
    assert_true_to_names(series)


def test_units_that_cannot_be_mapped_are_said_to_be_mixed(tmp_path: Path) -> None:
    series = series_of(tmp_path, *(f"epoch_{i}.pt" for i in (1, 2, 3)), "step_1.pt", "step_2.pt")
    assert series.labels == ("epoch 1", "epoch 2", "epoch 3", "step_1.pt", "step_2.pt")
    line = series.problems["step_1.pt"]
    assert "step_1.pt and 1 more" in line
    assert "among the epochs" in line
    assert_true_to_names(series)


def test_steps_that_begin_anew_with_each_epoch_order_nothing_alone(tmp_path: Path) -> None:
    names = [f"epoch{epoch}_iter{step}.pth" for epoch in (1, 2) for step in (500, 1000)]
    series = series_of(tmp_path, *reversed(names))
    assert (series.names, series.labels) == (tuple(names), tuple(names))
    assert series.unit == "checkpoint"
    assert {time.step for time in series.times} == {None}
    assert "counts from the beginning of its epoch" in series.problems[names[0]]


def test_one_epoch_twice_is_told_of(tmp_path: Path) -> None:
    series = series_of(tmp_path, "epoch_3_a.pt", "epoch_3_b.pt", "epoch_4_a.pt")
    assert series.names == ("epoch_3_b.pt", "epoch_4_a.pt")
    assert "left out, epoch_3_b.pt has epoch 3 too" in series.problems["epoch_3_a.pt"]


def test_what_a_file_says_tells_what_bare_numbers_count(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        saved(tmp_path, f"model_{epoch}.pt", epoch=epoch, global_step=epoch * 70)
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    keys = series.keys
    series.load(1)
    assert (series.unit, series.labels[2]) == ("epoch", "epoch 3")
    assert series.times[1] == TrainingTime(140, 2, 2)
    assert series.keys == keys
    for step in (500, 1000):
        saved(tmp_path / "b", f"checkpoint_{step}.pt", iteration=step)
    counted = cvw.CheckpointSeries.from_directory(tmp_path / "b")
    counted.load(0)
    assert (counted.unit, counted.labels) == ("step", ("step 500", "step 1,000"))


def test_a_count_of_what_is_done_and_one_of_what_goes_on_agree(tmp_path: Path) -> None:
    for epoch in range(3):
        saved(tmp_path, f"epoch_{epoch}.pt", epoch=epoch + 1)
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    assert_true_to_names(series)
    assert (series.steps, series.problems) == ((0, 1, 2), {})


def test_a_file_corrects_its_name_and_keeps_its_key(tmp_path: Path) -> None:
    saved(tmp_path, "step_100.pt", global_step=300)
    saved(tmp_path, "step_200.pt", global_step=200)
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    first, second = series.keys
    series.load(0)
    assert (series.steps, series.keys) == ((200, 300), (second, first))
    assert series.names == ("step_200.pt", "step_100.pt")
    assert "its name says step 100, but it holds step 300" in series.problems["step_100.pt"]
    assert_true_to_names(series)


def test_a_corrected_file_takes_no_other_ones_place(tmp_path: Path) -> None:
    saved(tmp_path, "epoch_1.pt", epoch=7)
    saved(tmp_path, "epoch_7.pt", epoch=7)
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    series.load(0)
    assert series.labels == ("epoch 7", "epoch_1.pt")
    assert "epoch_7.pt has that too" in series.problems["epoch_1.pt"]
    assert_true_to_names(series)


def test_best_stays_where_it_is_and_says_when_it_was_saved(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        saved(tmp_path, f"epoch_{epoch}.pt", epoch=epoch)
    saved(tmp_path, "best.pt", epoch=2)
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    series.load(3)
    assert (series.labels[3], series.times[3]) == ("best.pt", TrainingTime(epoch=2))
    assert (len(series), series.problems) == (4, {})


def test_a_state_stays_with_a_file_that_is_moved(tmp_path: Path) -> None:
    models = {}
    for step, inside in ((100, 300), (200, 200)):
        torch.manual_seed(step)
        models[step] = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
        content = {"state_dict": models[step].state_dict(), "global_step": inside}
        torch.save(content, tmp_path / f"step_{step}.pt")
        os.utime(tmp_path / f"step_{step}.pt", (10**9, 10**9))
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    state = cvw.ModelState(models[200], torch.rand(2, 1, 8, 8), checkpoints=series, checkpoint=0)
    assert torch.equal(state.weight("0"), models[100][0].weight)
    state.refresh()
    assert (state.steps, state.checkpoint) == ((200, 300), 1)
    assert torch.equal(state.weight("0"), models[100][0].weight)
    state.select(checkpoint=0)
    assert torch.equal(state.weight("0"), models[200][0].weight)
    state.close()


@pytest.mark.parametrize(("offset", "factor"), [(10, 1), (0, 1000), (-5, 1)])
def test_names_that_count_otherwise_than_their_files_are_taken_so(
    tmp_path: Path, offset: int, factor: int
) -> None:
    counts = range(6, 11)
    for count in counts:
        saved(tmp_path, f"step_{count}.pt", global_step=offset + factor * count)
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    names, keys = series.names, series.keys
    series.load_key(keys[1])
    assert series.steps[-1] == max(10, offset + factor * 7)  # one file may just have been renamed
    series.load_key(keys[3])
    assert series.names == names
    assert series.steps == tuple(offset + factor * count for count in counts)
    (line,) = series.problems.values()
    assert "all files that were read hold steps" in line
    assert_true_to_names(series)


def test_threads_that_read_and_look_find_each_name_with_its_weights(tmp_path: Path) -> None:
    for step in range(12):
        saved(tmp_path, f"step_{step}.pt", global_step=(step * 7) % 13 * 100)
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    files, wrong = series.listing.items, []

    def read(start: int) -> None:
        for turn in range(12):
            _, item = files[(start + turn) % 12]  # each of them, wherever it is by now
            loaded = series.load_key(item)["a"].item()
            if loaded != sum(map(ord, item.name)) or len(series.steps) != 12:
                wrong.append(item.name)
            series.refresh()

    threads = [threading.Thread(target=read, args=(start,)) for start in range(0, 12, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert series.steps == tuple(sorted((step * 7) % 13 * 100 for step in range(12)))
