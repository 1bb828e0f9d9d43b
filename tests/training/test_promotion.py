"""Which version the alias points at, how it came there and back, and what is never let there."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from urllib.parse import urlsplit

import onnx
import pytest
import skops.io
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LogisticRegression

from tests.images.stack import Stack, s3
from tests.training.support import request_for, versions
from training import program, promotion, registry
from training.errors import BadModel, NoSuchVersion
from training.registry import Move, earlier
from training.results import Promoted, Result

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(400)]


def champion(client: MlflowClient, model: str) -> str:
    found = registry.champion(client, model)
    return str(found.version) if found else ""


def by_hand(client: MlflowClient, model: str, number: str) -> Promoted:
    version = promotion.numbered(client, model, number)
    return promotion.promote(client, version, if_better=False, why="hand")


def back(client: MlflowClient, model: str) -> Promoted:
    return promotion.promote(client, promotion.previous(client, model), if_better=False, why="back")


def again(client: MlflowClient, model: str, result: Result, **tags: str) -> ModelVersion:
    """Another version of the same files."""
    version = client.get_model_version(model, result.version)
    made = version.tags | tags
    return registry.register(client, model, source=str(version.source), run_id=result.run_id, model_id=None, tags=made)


def test_champions_follow_each_other_and_go_back_one_at_a_time(client: MlflowClient, model: str) -> None:
    first = program.run(request_for(model), client)
    for number in ("2", "3"):
        again(client, model, first)
        assert by_hand(client, model, number).moved
    assert [(back(client, model).version, champion(client, model)) for _ in range(2)] == [("2", "2"), ("1", "1")]
    with pytest.raises(NoSuchVersion, match=f"'{model}' has no champion before version 1 to go back to"):
        back(client, model)
    moves = registry.history(client, model).values()
    assert [(one.version, one.before, one.why) for one in moves] == [
        ("1", "", "better"),
        ("2", "1", "hand"),
        ("3", "2", "hand"),
        ("2", "3", "back"),
        ("1", "2", "back"),
    ]
    again_champion = by_hand(client, model, "1")
    assert (again_champion.moved, again_champion.reason) == (False, "version 1 is champion already")


@pytest.mark.exhaustive
def test_a_training_after_going_back_is_compared_with_the_champion_there_is(client: MlflowClient, model: str) -> None:
    """The better one was taken back by a person: it does not come again by itself because another training ends."""
    program.run(request_for(model, "--n-estimators", "1", "--max-depth", "1"), client)
    better = program.run(request_for(model), client)
    assert (better.champion, back(client, model).version) == (True, "1")
    third = program.run(request_for(model, "--n-estimators", "1", "--max-depth", "1"), client)
    assert (third.champion, champion(client, model)) == (True, third.version)


@pytest.mark.exhaustive
def test_a_deleted_champion_is_passed_over_on_the_way_back(client: MlflowClient, model: str) -> None:
    first = program.run(request_for(model), client)
    for number in ("2", "3"):
        again(client, model, first)
        by_hand(client, model, number)
    client.delete_model_version(model, "2")
    assert back(client, model).version == "1"
    client.delete_model_version(model, "1")
    assert champion(client, model) == ""
    with pytest.raises(NoSuchVersion, match="has no champion before this to go back to"):
        back(client, model)


def test_other_columns_do_not_become_champion_by_themselves(client: MlflowClient, model: str) -> None:
    """Whoever asks the service would have to ask differently; a person may decide that."""
    first = program.run(request_for(model), client)
    other = again(client, model, first, interface="another", score="1.0")
    found = registry.promote(client, other)
    assert (found.moved, champion(client, model)) == (False, first.version)
    assert found.reason == "version 1 has other columns or classes, and who asks the service expects those"
    assert by_hand(client, model, other.version).moved


@pytest.mark.exhaustive
def test_a_run_without_a_version_gets_one_when_it_is_promoted(client: MlflowClient, model: str) -> None:
    program.run(request_for(model, "--n-estimators", "1", "--max-depth", "1"), client)
    logged = program.run(request_for(model, "--no-register"), client)
    assert (logged.version, len(versions(client, model))) == ("", 1)
    version = promotion.of_run(client, model, logged.run_id)
    assert promotion.of_run(client, model, logged.run_id).version == version.version == "2"
    found = promotion.promote(client, version, if_better=True, why="hand")
    assert (found.moved, found.before, found.model_digest) == (True, "1", logged.model_digest)


def test_an_equal_score_is_not_past_the_champions(client: MlflowClient, model: str) -> None:
    first = program.run(request_for(model), client)
    found = promotion.promote(client, again(client, model, first), if_better=True, why="hand")
    assert (found.moved, found.reason) == (False, f"version 1 scores as well (accuracy {first.accuracy:.4f})")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda client, model: promotion.numbered(client, model, "9"), "there is no version 9 of"),
        (lambda client, model: promotion.of_run(client, model, "0" * 32), "there is no run 000"),
        (promotion.previous, "there is no registered model"),
    ],
)
def test_what_does_not_exist_is_told(
    client: MlflowClient, model: str, ask: Callable[[MlflowClient, str], object], words: str
) -> None:
    with pytest.raises(NoSuchVersion, match=words):
        ask(client, model)


def truncated(body: bytes) -> bytes:
    return body[: len(body) // 2]


def other_shape(body: bytes) -> bytes:
    """The same forest for one feature more."""
    made = onnx.load_from_string(body)
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value += 1
    return bytes(made.SerializeToString())


def other_answers(body: bytes) -> bytes:
    """The same forest, its classes' order turned round."""
    made = onnx.load_from_string(body)
    trees = next(node for node in made.graph.node if node.op_type == "TreeEnsemble")
    targets = next(one for one in trees.attribute if one.name == "leaf_targetids")
    targets.ints[:] = [2 - target for target in targets.ints]
    return bytes(made.SerializeToString())


def pickled(_body: bytes) -> bytes:
    return pickle.dumps(LogisticRegression())


def another_model(_body: bytes) -> bytes:
    """A file that skops reads, of types that nobody reviewed."""
    return bytes(skops.io.dumps(Untrusted()))


class Untrusted:
    """Anything at all."""


RARE = pytest.mark.exhaustive
POISONS = [
    pytest.param("model.onnx", truncated, "is not the file that was registered"),
    pytest.param("model.skops", truncated, "model.skops cannot be loaded safely", marks=RARE),
    pytest.param("model.skops", pickled, "model.skops is pickle"),
    pytest.param("model.skops", another_model, "model.skops cannot be loaded safely", marks=RARE),
    pytest.param("serving.json", truncated, "serving.json is not what `python -m training` writes", marks=RARE),
    pytest.param("extra/model.pkl", pickled, "extra/model.pkl is pickle"),
]


@pytest.mark.parametrize(("file", "poison", "words"), POISONS)
def test_a_poisoned_file_is_refused_and_the_alias_stays(
    client: MlflowClient, model: str, stack: Stack, file: str, poison: Callable[[bytes], bytes], words: str
) -> None:
    good = program.run(request_for(model), client)
    bad = program.run(request_for(model, "--no-register"), client)
    store = s3(stack.env)
    place = urlsplit(bad.model_uri)
    key = f"{place.path.lstrip('/')}/{file}"
    body = b"" if "/" in file else store.get_object(Bucket=place.netloc, Key=key)["Body"].read()
    store.put_object(Bucket=place.netloc, Key=key, Body=poison(body))
    with pytest.raises(BadModel, match=words):
        promotion.promote(client, promotion.of_run(client, model, bad.run_id), if_better=False, why="hand")
    assert champion(client, model) == good.version


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("poison", "words"),
    [
        (truncated, "model.onnx is no ONNX model this runtime takes"),
        (other_shape, "does not take 'features' with 4 doubles a row"),
        (other_answers, "the ONNX form answers the golden rows differently"),
    ],
)
def test_a_model_that_was_wrong_when_it_was_registered_is_refused(
    client: MlflowClient, model: str, stack: Stack, poison: Callable[[bytes], bytes], words: str
) -> None:
    """Its digests agree with each other; what it answers does not."""
    good = program.run(request_for(model), client)
    place = urlsplit(good.model_uri)
    store, root = s3(stack.env), place.path.lstrip("/")
    body = poison(store.get_object(Bucket=place.netloc, Key=f"{root}/model.onnx")["Body"].read())
    made = json.loads(store.get_object(Bucket=place.netloc, Key=f"{root}/serving.json")["Body"].read())
    made["model_sha256"] = hashlib.sha256(body).hexdigest()
    store.put_object(Bucket=place.netloc, Key=f"{root}/model.onnx", Body=body)
    store.put_object(Bucket=place.netloc, Key=f"{root}/serving.json", Body=json.dumps(made).encode())
    version = again(client, model, good, model_digest=made["model_sha256"])
    with pytest.raises(BadModel, match=words):
        promotion.promote(client, version, if_better=False, why="hand")
    assert champion(client, model) == good.version


def test_a_version_without_files_is_refused(client: MlflowClient, model: str) -> None:
    good = program.run(request_for(model), client)
    source = good.model_uri + "-gone"
    version = client.create_model_version(model, source=source, run_id=good.run_id)
    with pytest.raises(BadModel, match=r"has no (files at|model\.onnx)"):
        promotion.promote(client, version, if_better=False, why="hand")
    assert champion(client, model) == good.version


@pytest.mark.exhaustive
def test_a_move_that_was_written_down_and_not_made_does_no_harm(client: MlflowClient, model: str) -> None:
    """Killed between the two: the next one goes from where the alias really is."""
    first = program.run(request_for(model), client)
    again(client, model, first)
    by_hand(client, model, "2")
    client.set_registered_model_tag(
        model, "champion.99990101T000000.0-3", '{"version": "3", "before": "2", "why": "hand"}'
    )
    client.set_registered_model_tag(model, "champion.damaged", "no JSON")
    assert back(client, model).version == "1"


@pytest.mark.parametrize(
    ("moves", "current", "found"),
    [
        ([], "", []),
        ([Move("1", "", "better")], "1", []),
        ([Move("2", "1", "better")], "2", ["1"]),
        ([Move("1", "", "better"), Move("2", "1", "better"), Move("3", "2", "better")], "3", ["2", "1"]),
        (
            [Move("1", "", "better"), Move("2", "1", "better"), Move("1", "2", "back"), Move("3", "1", "hand")],
            "3",
            ["1"],
        ),
        ([Move("1", "", "better"), Move("2", "1", "better"), Move("1", "2", "hand")], "1", ["2"]),
        ([Move("1", "", "better"), Move("2", "1", "better")], "", ["2", "1"]),
    ],
)
def test_earlier_champions(moves: list[Move], current: str, found: list[str]) -> None:
    assert earlier(moves, current) == found


def test_mlflow_still_says_what_these_errors_are_recognised_by(client: MlflowClient, model: str) -> None:
    client.create_registered_model(model)
    with pytest.raises(MlflowException) as refused:
        client.get_model_version_by_alias(model, "champion")
    assert refused.value.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
