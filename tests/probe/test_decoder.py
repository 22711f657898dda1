"""A decoder runs on private copies, with the weights that the probe has loaded."""

import pytest
import torch
from torch import nn

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.probe import Probe
from convviz_widgets.probe.decoder import Decoder, traversal_change, traversal_codes

IMAGES = torch.zeros(1, 1, 2, 2)


class Autoencoder(nn.Module):
    """Codes of two numbers; the picture is the first number, times a weight, plus dropout."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 2)
        self.decoder = nn.Linear(2, 4, bias=False)
        with torch.no_grad():
            self.decoder.weight.copy_(torch.tensor([[1.0, 0.0]] * 4))

    def decode(self, codes):
        flat = nn.functional.dropout(self.decoder(codes), 0.5, training=self.training)
        return flat.reshape(-1, 1, 2, 2)

    def forward(self, images):
        return self.decode(self.encoder(images.flatten(1)))


def made(model, decode):
    return Decoder(model, decode, (1, 2, 2)), Probe(model, IMAGES)


CODES = torch.tensor([[3.0, 0.0], [0.0, 5.0]])


@pytest.mark.parametrize("part", ["decode", "decoder"])
def test_a_part_of_the_model_runs_with_the_weights_that_are_loaded(part):
    model = Autoencoder().train()  # dropout would show, were it the user's own that runs
    decoder, probe = made(model, getattr(model, part))
    doubled = {name: 2 * value for name, value in model.state_dict().items()}
    assert decoder.follows
    assert decoder.pictures(probe, CODES)[:, 0, 0, 0].tolist() == [3.0, 0.0]
    probe.load(doubled)
    assert decoder.pictures(probe, CODES)[:, 0, 0, 0].tolist() == [6.0, 0.0]


def test_another_module_runs_as_a_copy_in_eval_mode():
    other = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Unflatten(1, (1, 2, 2))).train()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    decoder, probe = made(Autoencoder(), other)
    assert not decoder.follows
    assert decoder.pictures(probe, CODES).shape == (2, 1, 2, 2)
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())
    assert other.training


def test_a_function_of_ones_own_may_return_pictures_without_channels():
    decoder, probe = made(Autoencoder(), lambda codes: codes[:, :1, None].expand(-1, 2, 2))
    assert decoder.pictures(probe, CODES)[0].tolist() == [[[3.0, 3.0], [3.0, 3.0]]]


def test_what_does_not_fit_is_said_in_one_line():
    model = Autoencoder()
    decoder, probe = made(model, model.decode)
    with pytest.raises(InputError, match=r"codes \(1, 7\).*size= is how many factors"):
        decoder.pictures(probe, torch.zeros(1, 7))
    with pytest.raises(InputError, match=r"a function of codes .* got int"):
        made(model, 7)
    for wrong, words in [(lambda codes: None, "no tensor"), (lambda codes: codes, r"\(2, 2\)")]:
        decoder, probe = made(model, wrong)
        with pytest.raises(InputError, match=words):
            decoder.pictures(probe, CODES)


def test_a_decoder_that_draws_random_numbers_is_refused():
    decoder, probe = made(Autoencoder(), lambda codes: torch.randn(len(codes), 1, 2, 2))
    before = torch.get_rng_state()
    with pytest.raises(ModelError, match="draws random numbers"):
        decoder.pictures(probe, CODES)
    assert torch.equal(before, torch.get_rng_state())


def test_each_strip_sets_one_factor_and_holds_the_others():
    codes = traversal_codes(torch.tensor([7.0, 8.0]), torch.tensor([-1.0, 0.0, 1.0]))
    assert codes[0].tolist() == [[-1, 8], [0, 8], [1, 8]]
    assert codes[1].tolist() == [[7, -1], [7, 0], [7, 1]]


def test_the_change_is_the_rms_difference_from_the_mean_picture():
    strips = torch.tensor([[-1.0, 1.0], [5.0, 5.0]]).reshape(2, 2, 1, 1, 1).repeat(1, 1, 1, 3, 3)
    assert traversal_change(strips).tolist() == [1.0, 0.0]
