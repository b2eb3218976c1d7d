"""toycars: the renderer is a function of its arguments, and every measure that tells classes apart shows."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_aug.world import toycars
from ssl_aug.world.carbodies import BOUNDED, TYPICAL, VARIATION, deviations_of, model_distance, varied
from ssl_aug.world.carmodel import BODY_TYPES, GRILLE_SHAPES, LAMP_SHAPES, TAIL_SHAPES, CarModel
from ssl_aug.world.render import render_car
from ssl_aug.world.scene import OCCLUDERS, PAINTS, Scene, SceneRanges, sample_scene

ANY = sample_scene(np.random.default_rng(0))
PLAIN = replace(ANY, elevation_deg=9.0, roll_deg=0.0, occluder="none", time="day", noise=0.0)
VIEWS = [replace(PLAIN, azimuth_deg=azimuth) for azimuth in (35.0, 90.0, 215.0)]


def pictures(model: CarModel, scenes: list[Scene] = VIEWS, size_px: int = 96) -> np.ndarray:
    return np.stack([render_car(model, scene, size_px) for scene in scenes])


def test_the_same_seed_gives_the_same_scene_and_the_same_bytes() -> None:
    one, other = (sample_scene(np.random.default_rng(5)) for _ in range(2))
    assert one == other
    assert render_car(CarModel(), one).tobytes() == render_car(CarModel(), other).tobytes()
    assert toycars.image(3, "train", 7).tobytes() == toycars.image(3, "train", 7).tobytes()


def test_a_picture_is_64_by_64_rgb_and_neither_black_nor_flat() -> None:
    picture = toycars.image(0, "test", 0)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 10


def test_pictures_differ_between_splits_numbers_and_classes() -> None:
    chosen = [(0, "train", 0), (0, "train", 1), (0, "test", 0), (1, "train", 0)]
    assert len({toycars.image(*which).tobytes() for which in chosen}) == len(chosen)


@pytest.mark.parametrize("name", sorted(VARIATION))
def test_every_measure_of_the_shape_changes_the_picture(name: str) -> None:
    low, high = (varied("sedan", {name: end}, {}) for end in (-1.0, 1.0))
    assert np.abs(pictures(low).astype(int) - pictures(high)).max() > 25


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("lamp", LAMP_SHAPES),
        ("grille", GRILLE_SHAPES),
        ("tail", TAIL_SHAPES),
        ("num_spokes", (0, 4, 5, 6, 8)),
        ("num_side_windows", (1, 2, 3)),
    ],
)
def test_every_detail_changes_the_picture(field: str, values: tuple[object, ...]) -> None:
    cars = [replace(CarModel(), **{field: value}) for value in values]  # type: ignore[arg-type]
    drawn = {pictures(car).tobytes() for car in cars}
    assert len(drawn) == len(values)


def test_every_body_type_looks_different() -> None:
    assert set(TYPICAL) == set(BODY_TYPES)
    assert len({pictures(model).tobytes() for model in TYPICAL.values()}) == len(BODY_TYPES)


@pytest.mark.parametrize("azimuth", [0.0, 60.0, 145.0])
def test_a_car_is_symmetric_so_a_mirrored_picture_is_the_car_seen_from_the_other_side(azimuth: float) -> None:
    clear = replace(PLAIN, backdrop="sky", road_lines=False, time="overcast", shift=(0.0, 0.0))
    model = toycars.class_models()[4]
    one = render_car(model, replace(clear, azimuth_deg=azimuth, sun_azimuth_deg=azimuth), 64).astype(int)
    other = render_car(model, replace(clear, azimuth_deg=-azimuth, sun_azimuth_deg=-azimuth), 64)
    middle = np.s_[16:48, 8:56]  # the car; spots on the ground are not mirrored
    assert np.abs(one[:, ::-1][middle] - other[middle]).mean() < 6


@pytest.mark.parametrize("changed", ["time", "ground", "backdrop", "occluder", "paint_rgb", "sun_azimuth_deg"])
def test_what_varies_changes_the_picture(changed: str) -> None:
    base = replace(PLAIN, azimuth_deg=35.0, elevation_deg=5.0, ground="asphalt", backdrop="sky")
    base = replace(base, occluder_place=0.1)
    values = {
        "time": "dusk",
        "ground": "grass",
        "backdrop": "buildings",
        "occluder": "pole",
        "paint_rgb": (240.0, 200.0, 30.0),
        "sun_azimuth_deg": base.sun_azimuth_deg + 180,
    }
    other = replace(base, **{changed: values[changed]})  # type: ignore[arg-type]
    assert np.abs(render_car(CarModel(), base).astype(int) - render_car(CarModel(), other)).max() > 25


@pytest.mark.parametrize("occluder", OCCLUDERS)
def test_an_occluder_leaves_most_of_the_picture_as_it_is(occluder: str) -> None:
    clear = replace(PLAIN, azimuth_deg=90.0, occluder_place=0.9)
    one = render_car(CarModel(), clear).astype(int)
    other = render_car(CarModel(), replace(clear, occluder=occluder))
    assert (np.abs(one - other).max(axis=2) > 12).mean() < 0.35


def test_views_cover_the_full_circle_and_all_paints() -> None:
    rng = np.random.default_rng(1)
    scenes = [sample_scene(rng) for _ in range(400)]
    assert {scene.view for scene in scenes} == {
        "front", "front left", "left", "rear left", "rear", "rear right", "right", "front right",
    }  # fmt: skip
    assert {scene.paint for scene in scenes} == set(PAINTS)
    clear = [sample_scene(rng, SceneRanges(occlusion=0.0)) for _ in range(50)]
    assert {scene.occluder for scene in clear} == {"none"}


def test_classes_are_distinct_shapes_of_the_body_type_in_their_name() -> None:
    models = toycars.class_models()
    assert len(models) == len(set(models)) == len(toycars.CLASS_NAMES) == len(set(toycars.CLASS_NAMES))
    assert all(name.endswith(f"_{model.body}") for name, model in zip(toycars.CLASS_NAMES, models, strict=True))


def test_a_smaller_spread_brings_the_classes_of_a_body_type_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean_distance(spread: float) -> float:
        monkeypatch.setattr(toycars, "CLASS_SPREAD", spread)
        models = toycars.class_models.__wrapped__()
        pairs = [(a, b) for a in models for b in models if a is not b and a.body == b.body]
        return float(np.mean([model_distance(a, b) for a, b in pairs]))

    assert 0 < mean_distance(0.2) < mean_distance(0.6) < mean_distance(1.2)


def test_no_detail_alone_tells_a_make() -> None:
    models = toycars.class_models()
    for field in ("lamp", "grille", "tail", "num_spokes"):
        for place in range(len(toycars.MAKES)):
            assert len({asdict(model)[field] for model in models[place :: len(toycars.MAKES)]}) > 1


def test_the_distance_of_shapes_is_zero_to_itself_and_one_step_for_one_detail() -> None:
    car = CarModel()
    assert model_distance(car, car) == 0
    assert model_distance(car, replace(car, lamp="tall")) == pytest.approx(1 / len(asdict(car)))
    assert model_distance(car, varied("sedan", {"length": 1.0}, {})) == pytest.approx(0.5 / len(asdict(car)))


def test_materialize_writes_the_same_pictures_as_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toycars, "SPLITS", {"train": 2, "test": 1})
    calls: list[tuple[int, int]] = []
    toycars.materialize(tmp_path / "toycars", lambda written, total: calls.append((written, total)))
    files = sorted((tmp_path / "toycars").rglob("*.png"))
    assert len(files) == calls[-1][0] == calls[-1][1] == 3 * len(toycars.CLASS_NAMES)
    name = toycars.CLASS_NAMES[5]
    written = np.asarray(Image.open(tmp_path / "toycars" / "train" / name / f"{name}_0001.png"))
    assert written.tobytes() == toycars.image(5, "train", 1).tobytes()
    with pytest.raises(FileExistsError):
        toycars.materialize(tmp_path / "toycars")


def test_unknown_split_class_body_and_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="split='val'"):
        toycars.image(0, "val", 0)
    with pytest.raises(ValueError, match="class_index=24"):
        toycars.image(24, "train", 0)
    with pytest.raises(ValueError, match="body type 'tank'"):
        varied("tank", {}, {})
    with pytest.raises(ValueError, match=r"CarModel\.lamp='star'"):
        CarModel(lamp="star")
    with pytest.raises(ValueError, match="cowl < header"):
        CarModel(cowl=0.5)


def test_a_shape_tells_its_deviations_and_bounded_measures_stay_within_their_variation() -> None:
    given = {name: 1.7 if place % 2 else -0.6 for place, name in enumerate(VARIATION)}
    told = dict(zip(VARIATION, deviations_of("coupe", asdict(varied("coupe", given, {}))), strict=True))
    for name, deviation in given.items():
        assert told[name] == pytest.approx(min(deviation, 1.0) if name in BOUNDED else deviation)
