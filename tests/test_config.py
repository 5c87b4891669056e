import json
import math
import re
import socket
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan import config
from gan.config import (
    LENGTH_LIMITS,
    RECIPES,
    Range,
    RunConfig,
    ServerSettings,
    allowed_values,
    parse_setting,
    recipe,
)
from gan.errors import ConfigError
from gan.ui.serve import network_address

FIELDS = {spec.name: spec for spec in fields(RunConfig)}
BOUNDED = [name for name, spec in FIELDS.items() if isinstance(spec.metadata["allowed"], Range)]
NAMED = ["dataset", "network", "loss", "precision", "unit"]


def repr_short(value: object) -> str:
    return repr(value)[:8]


def refusal(**values: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(values)
    return caught.value


def test_classic_has_the_numbers_of_the_document():
    classic = recipe("classic")
    assert (classic.latent_dim, classic.batch_size) == (100, 128)
    assert (classic.lr_g, classic.lr_d, classic.beta1, classic.beta2) == (2e-4, 2e-4, 0.9, 0.999)
    assert (classic.length, classic.unit, classic.ema) == (10, "epochs", 0)
    assert (classic.network, classic.loss, classic.conditional) == ("mlp", "non-saturating", False)
    assert classic.dataset == "mnist"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json_unchanged(name):
    config = recipe(name)
    assert config.recipe == name
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'fastest'.*fast, classic, dcgan, conditional"):
        recipe("fastest")


def test_an_unknown_field_is_refused_with_the_known_ones():
    message = str(refusal(latent_dims=3))
    assert "'latent_dims'" in message
    assert all(name in message for name in FIELDS)


@pytest.mark.parametrize("name", BOUNDED)
def test_the_ends_of_a_range_are_allowed_and_what_lies_beyond_is_refused(name):
    allowed = allowed_values(name)
    for end in (allowed.low, allowed.high):
        assert getattr(RunConfig.from_dict({name: end}), name) == end
    step = 1 if FIELDS[name].type is int else 1e-9
    for beyond in (allowed.low - step, allowed.high + step):
        error = refusal(**{name: beyond})
        assert (error.key, error.values["field"], error.values["value"]) == ("out-of-range", name, beyond)
        assert all(part in str(error) for part in (name, repr(beyond), str(allowed)))


@pytest.mark.parametrize("unit", LENGTH_LIMITS)
def test_each_unit_has_its_own_limits_of_length(unit):
    allowed = LENGTH_LIMITS[unit]
    for end in (allowed.low, allowed.high):
        assert RunConfig.from_dict({"length": end, "unit": unit}).length == end
    for beyond in (allowed.low / 2, allowed.high * 2):
        assert unit in str(refusal(length=beyond, unit=unit))


@pytest.mark.parametrize("name", NAMED)
def test_a_name_that_is_no_option_is_refused_with_the_options(name):
    message = str(refusal(**{name: "junk"}))
    assert name in message
    assert "'junk'" in message
    assert all(option in message for option in allowed_values(name).options)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("batch_size", True, "a whole number"),
        ("lr_g", False, "a number"),
        ("conditional", 1, "true or false"),
        ("batch_size", 64.5, "a whole number"),
        ("seed", "7", "a whole number"),
        ("recipe", 3, "a word"),
        ("loss", ["minimax"], "a word"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_right_one(name, value, words):
    error = refusal(**{name: value})
    assert error.key == "wrong-type"
    assert str(error) == f"{name} is {value!r}; it must be {words}."


def test_a_box_that_was_cleared_is_said_to_be_empty():
    assert str(refusal(lr_d=None)) == "lr_d is empty; it must be a number."


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, -(10**400)], ids=repr_short)
@pytest.mark.parametrize("name", [name for name, spec in FIELDS.items() if spec.type in (int, float)])
def test_numbers_without_a_finite_value_are_refused(name, value):
    assert refusal(**{name: value}).values["field"] == name


def test_a_whole_float_becomes_an_int_and_an_int_a_float():
    config = RunConfig.from_dict({"batch_size": 32.0, "length": 5})
    assert (type(config.batch_size), config.batch_size) == (int, 32)
    assert (type(config.length), config.length) == (float, 5.0)


JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
)
PLAUSIBLE = st.sampled_from(
    [0, 1, 64, 0.5, 1e-4, 10**400, "mnist", "mlp", "minimax", "bf16", "steps", "epochs"]
)


@given(st.dictionaries(st.sampled_from(list(FIELDS)) | st.text(max_size=5), JUNK | PLAUSIBLE, max_size=6))
def test_any_dictionary_gives_a_valid_config_or_a_config_error(values):
    try:
        config = RunConfig.from_dict(values)
    except ConfigError:
        return
    assert RunConfig.from_dict(config.to_dict()) == config
    assert all(getattr(config, name) == value for name, value in values.items())


def test_changes_are_checked_and_leave_the_original_alone():
    config = recipe("dcgan")
    assert config.with_changes(lr_g=1e-3).lr_g == 1e-3
    with pytest.raises(ConfigError):
        config.with_changes(lr_g=1.0)
    assert config.lr_g == 5e-4


@pytest.mark.parametrize(("unit", "done"), [("steps", 30.0), ("epochs", 1.5), ("seconds", 6.0)])
def test_progress_is_counted_in_the_units_of_the_length(unit, done):
    config = RunConfig(length=4 * done, unit=unit)
    assert config.done(30, 1.5, 6.0) == done
    assert config.progress(30, 1.5, 6.0) == 0.25
    assert config.with_changes(length=done / 2).progress(30, 1.5, 6.0) == 1.0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("conditional", "True", True),
        ("batch_size", "32", 32),
        ("lr_g", "1e-3", 1e-3),
        ("loss", "minimax", "minimax"),
    ],
)
def test_a_setting_is_read_from_its_text(name, text, value):
    parsed = parse_setting(name, text)
    assert (type(parsed), parsed) == (type(value), value)


@given(st.sampled_from(list(FIELDS)) | st.text(max_size=5), st.text(max_size=8) | st.just("1e999"))
def test_any_text_is_a_setting_or_a_config_error(name, text):
    try:
        value = parse_setting(name, text)
    except ConfigError:
        return
    assert isinstance(value, FIELDS[name].type)


@pytest.mark.parametrize(
    ("environment", "host", "port"),
    [
        ({}, "127.0.0.1", 7860),
        ({"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "7000"}, "0.0.0.0", 7000),
        ({"HOST": "::1", "PORT": "80", "GRADIO_SERVER_NAME": "x", "GRADIO_SERVER_PORT": "1"}, "::1", 80),
        ({"HOST": "", "PORT": "", "GRADIO_SERVER_NAME": "0.0.0.0"}, "0.0.0.0", 7860),
    ],
)
def test_host_and_port_fall_back_on_gradios_names_and_then_on_the_defaults(environment, host, port):
    settings = ServerSettings.from_environment(environment)
    assert (settings.host, settings.port) == (host, port)


@pytest.mark.parametrize("variable", ["PORT", "GRADIO_SERVER_PORT"])
@pytest.mark.parametrize("port", ["0", "65536", "-1", "80.5", "http", "²", "9" * 5000], ids=repr_short)
def test_a_bad_port_is_refused_by_its_variable_and_value(variable, port):
    with pytest.raises(ConfigError) as caught:
        ServerSettings.from_environment({variable: port})
    assert str(caught.value) == f"The environment variable {variable} is {port!r}; it must be 1 to 65535."


def test_folders_and_device_come_from_the_environment_or_lie_in_the_project():
    project = Path(__file__).resolve().parent.parent
    default = ServerSettings.from_environment({})
    assert (default.checkpoints, default.data, default.device) == (
        project / "checkpoints",
        project / "data",
        "auto",
    )
    named = ServerSettings.from_environment({"GAN_CHECKPOINTS": "/a", "GAN_DATA": "/b", "GAN_DEVICE": "cpu"})
    assert (named.checkpoints, named.data, named.device) == (Path("/a"), Path("/b"), "cpu")


@pytest.mark.parametrize(
    ("environment", "shared"),
    [
        ({}, False),
        ({"HOST": "localhost"}, False),
        ({"HOST": "0.0.0.0"}, True),
        ({"GRADIO_SERVER_NAME": "192.168.1.5"}, True),
        ({"SPACE_ID": "a/b"}, True),
        ({"GAN_PRESENTER_KEY": "open sesame"}, True),
        ({"GAN_SHARED": "1"}, True),
        ({"GRADIO_ROOT_PATH": "/gan"}, True),  # who comes through a proxy is not on this machine
        ({"HOST": "0.0.0.0", "GAN_SHARED": "0"}, False),
    ],
)
def test_a_page_is_shared_unless_it_is_only_for_this_machine(
    environment: dict[str, str], shared: bool
) -> None:
    assert ServerSettings.from_environment(environment).shared is shared


def test_a_presenters_page_is_not_one_persons() -> None:
    with pytest.raises(ConfigError, match="GAN_SHARED is '0'; it must be 1 where GAN_PRESENTER_KEY is set"):
        ServerSettings.from_environment({"GAN_PRESENTER_KEY": "open sesame", "GAN_SHARED": "0"})


def test_a_space_has_the_limits_of_a_public_server_and_each_can_be_set() -> None:
    alone, space = (ServerSettings.from_environment(env) for env in ({}, {"SPACE_ID": "a/b"}))
    assert (alone.minutes_per_run, alone.disk_megabytes) == (0, 0)
    assert (space.active_runs, space.waiting_runs, space.runs_per_visitor) == (8, 50, 1)
    assert space.minutes_per_run > 0
    assert space.disk_megabytes > 0
    own = ServerSettings.from_environment(
        {"SPACE_ID": "a/b", "GAN_ACTIVE_RUNS": "3", "GAN_MINUTES_PER_RUN": ""}
    )
    assert own.active_runs == 3
    assert own.minutes_per_run == space.minutes_per_run


@pytest.mark.parametrize("value", ["x", "-1", "0", "1.5", "99999999999"])
def test_a_limit_that_cannot_be_is_refused_by_name(value: str) -> None:
    with pytest.raises(ConfigError, match=f"GAN_ACTIVE_RUNS is '{value}'; it must be 1 to 64"):
        ServerSettings.from_environment({"GAN_ACTIVE_RUNS": value})


def test_runs_are_kept_in_a_spaces_bucket_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "_BUCKET", tmp_path)
    assert ServerSettings.from_environment({"SPACE_ID": "a/b"}).checkpoints == tmp_path / "checkpoints"
    assert ServerSettings.from_environment({}).checkpoints != tmp_path / "checkpoints"
    monkeypatch.setattr(config, "_BUCKET", tmp_path / "absent")
    assert ServerSettings.from_environment({"SPACE_ID": "a/b"}).checkpoints.parent != tmp_path / "absent"


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_others_are_told_an_address_only_where_they_can_reach_it(host, told):
    address = network_address(ServerSettings(host=host), 7860)
    if address is None:  # also on a machine without a network
        assert not told or not _has_network()
    else:
        assert told
        assert re.fullmatch(r"http://\d+\.\d+\.\d+\.\d+:7860/", address)
        assert "127.0.0.1" not in address


def _has_network():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(("192.0.2.1", 9)) == 0
