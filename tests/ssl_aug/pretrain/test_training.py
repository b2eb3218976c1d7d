"""The optimization loop: its learning rates, and bit-exact resume from any checkpoint."""

import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from ssl_aug.pretrain.training import LoopSettings, learning_rate_at, train
from ssl_aug.tuning.batches import pass_after_pass


def test_learning_rate_end_points() -> None:
    settings = LoopSettings(100, 0.5, schedule="cosine", warmup_steps=10)
    assert learning_rate_at(0, settings) == pytest.approx(0.05)
    assert learning_rate_at(10, settings) == pytest.approx(0.5)
    assert learning_rate_at(55, settings) == pytest.approx(0.25)
    assert learning_rate_at(99, settings) < 0.001
    assert learning_rate_at(99, LoopSettings(100, 0.5)) == 0.5


class StoppedError(Exception):
    pass


def run(folder: Path, stop_at: int | None = None) -> tuple[list[float], list[torch.Tensor]]:
    """Twenty steps of a network with dropout, so that randomness matters."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    data = torch.arange(30.0).view(10, 3)

    def loss_of_step(step: int) -> torch.Tensor:
        if step == stop_at:
            raise StoppedError
        return network(data[pass_after_pass(10, 4, step, 0)]).square().mean()

    settings = LoopSettings(20, 1e-2, schedule="cosine", warmup_steps=3, save_every=1)
    losses = train(list(network.parameters()), loss_of_step, settings, folder / "checkpoint.pt", "test")
    return losses, [parameter.detach().clone() for parameter in network.parameters()]


@pytest.mark.parametrize("stop_at", [1, 2, 7, 13, 19])
def test_a_stopped_run_ends_in_the_same_bits(tmp_path: Path, stop_at: int) -> None:
    losses, weights = run(tmp_path / "plain")
    with pytest.raises(StoppedError):
        run(tmp_path / "stopped", stop_at)
    again, resumed = run(tmp_path / "stopped")
    assert again == losses
    assert all(torch.equal(one, other) for one, other in zip(weights, resumed, strict=True))


def test_ctrl_c_keeps_the_step_it_came_in(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.ones(1))
    seen: list[int] = []

    def loss_of_step(step: int) -> torch.Tensor:
        seen.append(step)
        if seen == [0, 1, 2]:
            signal.raise_signal(signal.SIGINT)
        return parameter.square().sum()

    settings = LoopSettings(6, 0.1, save_every=100)
    with pytest.raises(KeyboardInterrupt):
        train([parameter], loss_of_step, settings, tmp_path / "c.pt", "test")
    assert len(train([parameter], loss_of_step, settings, tmp_path / "c.pt", "test")) == 6
    assert seen == [0, 1, 2, 3, 4, 5]


def test_saving_more_often_is_no_other_setting(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.ones(1))

    def loss_of_step(step: int) -> torch.Tensor:
        return parameter.square().sum()

    first = train([parameter], loss_of_step, LoopSettings(4, 0.1, save_every=2), tmp_path / "c.pt", "test")
    assert train([parameter], loss_of_step, LoopSettings(4, 0.1, save_every=3), tmp_path / "c.pt", "test") == first


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    parameter = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="other settings"):
        train([parameter], lambda step: parameter.sum(), LoopSettings(5, 0.1), tmp_path / "checkpoint.pt", "test")


def test_a_loss_that_is_not_finite_stops_and_names_the_step(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.ones(1))

    def loss_of_step(step: int) -> torch.Tensor:
        return parameter.sum() * (float("nan") if step == 3 else 1.0)

    with pytest.raises(ValueError, match="nan at step 3"):
        train([parameter], loss_of_step, LoopSettings(5, 0.1), tmp_path / "c.pt", "test")


def test_running_statistics_go_on_where_the_run_was_stopped(tmp_path: Path) -> None:
    def statistics(folder: Path, stop_at: int | None = None) -> torch.Tensor:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        data = torch.arange(30.0).view(10, 3).sin()

        def loss_of_step(step: int) -> torch.Tensor:
            if step == stop_at:
                raise StoppedError
            return network(data[pass_after_pass(10, 4, step, 0)]).square().mean()

        settings = LoopSettings(8, 1e-2, save_every=1)
        parameters, buffers = list(network.parameters()), list(network.buffers())
        train(parameters, loss_of_step, settings, folder / "checkpoint.pt", "test", buffers)
        return torch.cat([buffer.flatten().float() for buffer in buffers])

    with pytest.raises(StoppedError):
        statistics(tmp_path, stop_at=5)
    assert torch.equal(statistics(tmp_path), statistics(tmp_path / "plain"))


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="weights after 1 steps are not saved, tensor 0 is not finite"):
        # the loss is 0, its gradient nan
        train(
            [weight], lambda step: weight.sqrt().sum() * 0, LoopSettings(5, 0.1, save_every=1), tmp_path / "c.pt", "t"
        )
    assert not (tmp_path / "c.pt").exists()
