"""Codes of every checkpoint, laid out in the background and turned onto one of them."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ACTIVATIONS, ModelState, embeddings
from convviz_widgets.state.embeddings import PCA, TSNE, EmbeddingJob
from convviz_widgets.tensors import plane
from convviz_widgets.tensors.plane import align, principal_plane

PATIENCE = 60


def net_of(weight):
    """Two numbers an image, moved apart by the weight of a 1×1 convolution, then a ReLU."""
    net = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.as_tensor(weight).reshape(3, 2, 1, 1))
    return net


WEIGHTS = {
    0: [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]],
    10: [[0.0, 2.0], [2.0, 0.0], [0.0, 0.0]],  # the same but for a mirror and a scale
    20: [[1.0, 0.5], [-1.0, 2.0], [0.3, 0.3]],
}


def all_weights():
    return CheckpointSeries.from_state_dicts(
        [(step, net_of(weight).state_dict()) for step, weight in WEIGHTS.items()]
    )


@pytest.fixture
def state():
    torch.manual_seed(0)
    images = ImageSet(torch.rand(12, 2, 3, 3), labels=[0, 1, None] * 4)
    made = ModelState(net_of(WEIGHTS[0]), images, checkpoints=all_weights())
    yield made
    made.close()


def jobs(state, reference=-1, **options):
    keys = state.embeddings.keys
    return [
        EmbeddingJob(key, keys[reference], **{"layer": "1", "count": 500, **options})
        for key in keys
    ]


def done(state, asked):
    state.embeddings.ask("test", *asked)
    assert state.embeddings.wait(PATIENCE)
    return [state.embeddings.get(job) for job in asked]


def codes_of(state, checkpoint):
    maps = []
    for image in range(len(state.image_set)):
        state.select(checkpoint=checkpoint, image=image)
        maps.append(state.activation("1").mean((1, 2)).numpy())
    return np.stack(maps)


def test_codes_are_means_over_positions_after_the_relu(state):
    found = done(state, jobs(state))
    for checkpoint, each in enumerate(found):
        expected = principal_plane(codes_of(state, checkpoint))
        np.testing.assert_allclose(each.layout.positions, expected.positions, atol=1e-6)
        np.testing.assert_allclose(each.layout.shares, expected.shares, atol=1e-6)
        assert each.labels.tolist() == [0, 1, -1] * 4


def test_mirrored_and_scaled_codes_lie_where_the_references_do(state):
    first, second, third = done(state, jobs(state, reference=0))
    np.testing.assert_allclose(second.positions, first.positions, atol=1e-5)
    assert second.agreement == pytest.approx(1)
    assert second.spread == pytest.approx(2, rel=1e-5)
    assert third.agreement < 0.999
    assert {each.frame for each in (first, second, third)} == {first.frame}
    corner = first.positions - [first.frame.x, first.frame.y]
    assert np.abs(corner).max() == pytest.approx(first.frame.half / 1.25)


@pytest.mark.parametrize("method", [PCA, TSNE])
def test_the_path_to_a_checkpoint_does_not_matter(state, method):
    ahead = jobs(state, method=method, perplexity=3.0)
    found = done(state, ahead)
    again = ModelState(net_of(WEIGHTS[20]), state.image_set, checkpoints=all_weights())
    back = done(again, jobs(again, method=method, perplexity=3.0)[::-1])[::-1]
    for one, other in zip(found, back, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
    again.close()


def test_one_pass_over_the_images_serves_every_method(state):
    done(state, jobs(state))
    passes = state.embeddings.forward_count
    found = done(state, jobs(state, method=TSNE, perplexity=3.0))
    assert state.embeddings.forward_count == passes == len(WEIGHTS)
    assert all(each.layout.divergence >= 0 for each in found)
    assert state.forward_count == 0


def test_fewer_images_are_evenly_drawn(state):
    (found, *_) = done(state, jobs(state, count=5))
    assert found.images == (0, 2, 4, 7, 9)
    assert found.positions.shape == (5, 2)


def test_images_that_cannot_be_read_or_have_no_finite_code_have_no_point():
    class Broken:
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == 2:
                raise OSError("disk on fire")
            return torch.full((2, 3, 3), float("nan") if index == 4 else index / 6)

    state = ModelState(net_of(WEIGHTS[20]), ImageSet(Broken()))
    (found,) = done(state, jobs(state))
    assert found.shown.tolist() == [True, True, False, True, False, True]
    assert found.failures == ("image 2: disk on fire",)
    state.close()


def test_a_broken_checkpoint_is_one_line_and_the_others_are_there(state):
    weights = {step: net_of(weight).state_dict() for step, weight in WEIGHTS.items()}
    weights[10] = {"0.weight": torch.zeros(1)}
    series = CheckpointSeries.from_state_dicts(list(weights.items()))
    broken = ModelState(net_of(WEIGHTS[0]), state.image_set, checkpoints=series)
    asked = jobs(broken)
    found = done(broken, asked)
    assert [each is None for each in found] == [False, True, False]
    (line,) = broken.embeddings.progress(*asked).failures
    broken.close()
    assert line.startswith("step 10: ")
    assert "\n" not in line


def test_a_dead_layer_is_one_point_and_not_an_error(state):
    series = [
        (step, net_of(w).state_dict()) for step, w in ((0, WEIGHTS[0]), (1, [[-1.0] * 2] * 3))
    ]
    dying = ModelState(
        net_of(WEIGHTS[0]), state.image_set, checkpoints=CheckpointSeries.from_state_dicts(series)
    )
    for method in (PCA, TSNE):
        alive, dead = done(dying, jobs(dying, reference=0, method=method, perplexity=3.0))
        assert not dead.positions.any()
        assert dead.spread == 0
        alive, dead = done(dying, jobs(dying, reference=1, method=method, perplexity=3.0))
        assert np.isnan(alive.agreement)
        assert (alive.positions**2).sum(axis=1).mean() == pytest.approx(1)
    dying.close()


def test_work_that_nobody_asks_for_any_more_is_dropped(state):
    reading, leaving = threading.Event(), threading.Event()
    plain = state.image_set.input

    def slow(index):
        reading.set()
        assert leaving.wait(PATIENCE)
        return plain(index)

    state.image_set.input = slow
    asked = jobs(state)
    # Batches of one image, so that there is something to drop between two.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convviz_widgets.state.model_copy.BATCH", 1)
        state.embeddings.ask("test", *asked)
        assert reading.wait(PATIENCE)
        state.embeddings.leave("test")
        leaving.set()
        assert state.embeddings.wait(PATIENCE)
    assert state.embeddings.progress(*asked).done == 0
    assert state.embeddings.forward_count <= 1


@pytest.fixture
def step_by_step(monkeypatch):
    """A list of what to do at the next steps of t-SNE, before it pauses; it counts the steps."""

    class Steps(list):
        count = 0

    steps = Steps()
    plain = embeddings.neighbour_map

    def watched(*args, between):
        def step():
            steps.count += 1
            if steps:
                steps.pop(0)()
            between()

        return plain(*args, between=step)

    monkeypatch.setattr(plane, "INTERVAL", 0)
    monkeypatch.setattr(embeddings, "neighbour_map", watched)
    return steps


def test_what_other_views_wait_for_is_done_while_a_t_sne_is_under_way(state, step_by_step):
    job, history = jobs(state, method=TSNE, perplexity=3.0)[-1], state.history
    question = state.output_history.question(0, (0, 1))
    seen = []
    history.observe(lambda: seen.append(state.embeddings.get(job)))
    state.output_history.observe(lambda: seen.append(state.embeddings.get(job)))
    step_by_step += [
        lambda: history.ask("test", ACTIVATIONS),
        lambda: state.output_history.ask("test", question),
    ]
    (found,) = done(state, [job])
    assert state.output_history.get(question) is not None
    assert history.wait(PATIENCE)
    # The selected checkpoint and the question; no view shows the others, so they come after it.
    assert [each is None for each in seen] == [True, True, False, False]
    assert step_by_step.count > 250
    undisturbed = ModelState(net_of(WEIGHTS[0]), state.image_set, checkpoints=all_weights())
    (alone,) = done(undisturbed, jobs(undisturbed, method=TSNE, perplexity=3.0)[-1:])
    undisturbed.close()
    np.testing.assert_array_equal(found.positions, alone.positions)


def test_a_t_sne_that_nobody_asks_for_any_more_ends_at_its_next_step(state, step_by_step):
    asked = jobs(state, method=TSNE, perplexity=3.0)
    step_by_step += [lambda: None, lambda: state.embeddings.leave("test")]
    state.embeddings.ask("test", *asked)
    assert state.embeddings.wait(PATIENCE)
    assert step_by_step.count == 2
    assert state.embeddings.progress(*asked).done == 0


def test_another_method_is_laid_out_instead_of_the_t_sne_under_way(state, step_by_step):
    tsne, pca = jobs(state, method=TSNE, perplexity=3.0), jobs(state)
    step_by_step.append(lambda: state.embeddings.ask("test", *pca))
    state.embeddings.ask("test", *tsne)
    assert state.embeddings.wait(PATIENCE)
    assert step_by_step.count == 1
    assert state.embeddings.progress(*pca).done == len(pca)
    assert state.embeddings.progress(*tsne).done == 0


def test_closing_ends_the_t_sne_under_way(state, step_by_step):
    step_by_step.append(state.close)
    state.embeddings.ask("test", *jobs(state, method=TSNE, perplexity=3.0))
    assert state.embeddings.wait(PATIENCE)
    assert step_by_step.count == 1


def test_a_closed_state_refuses_in_one_line(state):
    kept, asked = state.embeddings, jobs(state)
    state.close()
    with pytest.raises(InputError, match="closed"):
        kept.ask("test", *asked)


def test_alignment_is_onto_the_reference_as_it_is_shown(state):
    found = done(state, jobs(state))
    raw, target = found[0].layout.positions, found[-1].positions
    np.testing.assert_allclose(found[0].positions, align(raw, target).positions)
