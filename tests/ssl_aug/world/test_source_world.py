"""The source world: none of its cars is a toycar, and a caption says nothing that is not so."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ssl_aug.world import toycars
from ssl_aug.world.carmodel import BODY_TYPES
from ssl_aug.world.scene import VIEWS, sample_scene
from ssl_aug.world.source_bank import draw_bank, read_bank
from ssl_aug.world.source_objects import OBJECT_KINDS
from ssl_aug.world.source_world import (
    BACKDROP_WORDS,
    NUM_CARS,
    OCCLUDER_WORDS,
    TIME_WORDS,
    SourceImage,
    caption_of,
    nearest_toycar,
    source_image,
    source_model,
    visible_details,
)


@cache
def samples() -> list[SourceImage]:
    return [source_image(index, seed=3) for index in range(120)]


def test_no_source_car_is_a_toycar() -> None:
    models = [source_model(index) for index in range(NUM_CARS)]
    assert not set(models) & set(toycars.class_models())
    assert min(nearest_toycar(model) for model in models) > 0.3
    assert nearest_toycar(toycars.class_models()[0]) == 0


def test_there_are_400_different_cars_of_all_body_types() -> None:
    models = [source_model(index) for index in range(NUM_CARS)]
    assert len(set(models)) == NUM_CARS == 400
    assert {model.body for model in models} == set(BODY_TYPES)


def test_the_same_index_and_seed_give_the_same_picture_and_caption() -> None:
    one, other = source_image(11, 4), source_image(11, 4)
    assert one.image.tobytes() == other.image.tobytes()
    assert one.caption == other.caption
    assert source_image(11, 5).image.tobytes() != one.image.tobytes()


def test_pictures_show_cars_and_every_kind_of_object() -> None:
    drawn = {sample.body_type for sample in samples()}
    assert set(BODY_TYPES) <= drawn
    assert drawn & set(OBJECT_KINDS)
    for sample in samples():
        assert (sample.model is None) == (sample.model_index >= NUM_CARS)
        assert sample.image.shape == (64, 64, 3)


def test_a_caption_names_the_paint_and_the_kind_and_no_other_paint() -> None:
    for sample in samples():
        things = (sample.body_type, *(["car"] if sample.model is not None else []))
        assert any(f"{sample.paint} {thing}" in sample.caption for thing in things)
        others = {other.paint for other in samples()} - {sample.paint}
        assert not any(f" {paint} {thing}" in sample.caption for paint in others for thing in things)


def test_a_caption_tells_time_and_surroundings_as_they_are_and_never_the_view() -> None:
    for sample in samples():
        caption = f"{sample.caption},"
        assert "seen from" not in caption and not any(f" {view}," in caption for view in VIEWS)
        for time, words in TIME_WORDS.items():
            if any(word in caption for word in words):
                assert sample.scene.time == time
        for backdrop, place in BACKDROP_WORDS.items():
            assert place not in caption or sample.scene.backdrop == backdrop
        for occluder, place in OCCLUDER_WORDS.items():
            assert place not in caption or sample.scene.occluder == occluder


def test_lamps_and_grille_are_named_only_where_the_front_is_in_view() -> None:
    model = source_model(0)
    scene = sample_scene(np.random.default_rng(0))
    assert any("lamps" in detail for detail in visible_details(model, replace(scene, azimuth_deg=10.0)))
    assert not visible_details(model, replace(scene, azimuth_deg=90.0))
    rear = visible_details(replace(model, tail="round"), replace(scene, azimuth_deg=180.0))
    assert rear == ["round tail lamps"]


def test_captions_come_in_several_phrasings() -> None:
    scene = replace(sample_scene(np.random.default_rng(0)), occluder="none", azimuth_deg=30.0)
    model, rng = source_model(2), np.random.default_rng(1)
    assert len({caption_of(model.body, model, scene, rng) for _ in range(60)}) >= 5


def test_an_unknown_source_car_is_refused() -> None:
    with pytest.raises(ValueError, match="model_index=400"):
        source_model(NUM_CARS)


def test_a_bank_holds_what_source_image_draws_and_grows(tmp_path: Path) -> None:
    small = draw_bank(tmp_path, 3, seed=1)
    assert [row["caption"] for row in small.rows] == [source_image(index, 1).caption for index in range(3)]
    large = draw_bank(tmp_path, 5, seed=1)
    assert [row["index"] for row in large.rows] == list(range(5))
    for index in range(5):
        assert np.array_equal(large.images[index], source_image(index, 1).image)
    assert json.dumps(read_bank(tmp_path, 5).rows) == json.dumps(large.rows)
    with pytest.raises(ValueError, match="seed 1, not 2"):
        draw_bank(tmp_path, 3, seed=2)
    with pytest.raises(FileNotFoundError, match="holds 5 pictures"):
        read_bank(tmp_path, 6)
