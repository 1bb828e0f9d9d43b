"""What the lab's own programs said, in the user's language: training in its Job, the iris service, the checks of lab.yaml, kubesim's benchmark.

Those programs speak English, for logs and APIs are read by programs and searched by people. Here their sentences are known by their shape: `said`
finds the shape a text has, and gives the catalogue's translation with the same names and numbers in it. A sentence that nobody knows (kubectl's,
AWS's, MLflow's) stays as it is. A test compares the shapes with the programs' sources.
"""

from __future__ import annotations

import re
from functools import cache

from lab.messages import language, mark, t

_TRAINING = (
    # the command line
    mark("argument {option}: {why}"),
    mark("unrecognized arguments: {arguments}"),
    mark("expected one argument"),
    mark("{value} is not a whole number from {low} to {high}"),
    mark("{value} is not a number from {low} to {high}"),
    mark("{value} is not from {low} to {high}"),
    mark("{value} is not a name of 1 to 200 characters without '/' and ':'"),
    mark("{value} is not 1 to 40 lower-case letters, digits and dashes"),
    mark("{value} is not KEY=VALUE"),
    mark("{value} is not NAME=VALUE; names are {names}"),
    # a table
    mark("column {name} has one value in every row: remove it, it says nothing about the class"),
    mark("{file} has {size} MB; {most} MB are the most"),
    mark("{file} is not UTF-8 text (byte {byte}): save it as 'CSV UTF-8'"),
    mark("{file} is not a CSV file: {why}"),
    mark("cannot read {file}: {why}"),
    mark("{file} has more than {most} rows"),
    mark("{file} has {rows} rows; {least} are the least a model can be judged on"),
    mark("the header needs at least one feature and the class, separated by commas"),
    mark("the header needs at least one feature and the class, separated by commas{what}"),
    mark("; this file uses {separator}"),
    mark("the header has {columns} columns; {most} are the most"),
    mark("column {number} has no name in the header"),
    mark("column {number}'s name is no text of 1 to 100 characters: save the file as 'CSV UTF-8'"),
    mark("two columns are called {name}"),
    mark("the first line has numbers ({first}, ...): it must name the columns"),
    mark("line {number} has {values} values, the header {columns}"),
    mark("{what}: the value is missing ({text})"),
    mark("{what}: the value is missing"),
    mark("{what}: {text} is not a number"),
    mark("{what}: {text} is not a finite number a tree can compare"),
    mark("line {number}, column {name}"),
    mark("line {number}: the class (column {name}) is missing"),
    mark("every row is of the class {name}: a model needs at least two to tell apart"),
    mark("column {name} has {classes} classes, more than {most}: is it the class?"),
    mark("column {name} has {text}, which is no name of a class (1 to 100 characters)"),
    mark("class {name} has {rows} rows; {folds} folds and a test need {least}"),
    mark("{place} is not s3://BUCKET/.../SHA256.csv: the name must say what is in it"),
    mark("{place} is not the file that was uploaded (its SHA-256 differs)"),
    mark("{place} does not exist: upload the table again"),
    mark("S3 does not give {place}: {why}"),
    # the model
    mark("no room for the model's files in {folder}: {why}"),
    mark("stopped by SIGTERM: the Job or its pod was deleted"),
    mark("the ONNX form and scikit-learn {what} ({points} points; the first: {first})"),
    mark("call a point by different classes"),
    mark("differ by up to {largest}"),
    mark("{file} is not the file that was registered (its SHA-256 differs)"),
    mark("{file}: its golden rows have another shape than its features and classes"),
    mark("{file} is no ONNX model this runtime takes: {why}"),
    mark("the version has no {files}: `python -m training` did not make it, or its files are gone"),
    mark("{file} is pickle, which runs whatever is in it when it is loaded"),
    mark("{file} is not what `python -m training` writes: {why}"),
    mark("{file} names no features, classes or golden rows"),
    mark("{file} does not take 'features' with {count} doubles a row"),
    mark("{file} does not answer with a label and {count} probabilities"),
    mark("{file} cannot be loaded safely: {why}"),
    mark("{what} answers the golden rows differently than at training time"),
    mark("the ONNX form"),
    mark("scikit-learn's form"),
    # the registry
    mark("there is no version {number} of {name}"),
    mark("{name} version {number} is {status}, not READY"),
    mark("no version was asked for"),
    mark("there is no run {run}"),
    mark("run {run} is {status} and has no model to register"),
    mark("there is no registered model {name}"),
    mark("{name} has no champion before {what} to go back to"),
    mark("version {number}"),
    mark("this"),
    mark("{name} version {number} has no files at {place}"),
    mark("version {number} is champion already"),
    mark("version {number} came first"),
    mark("version {number} has other columns or classes, and who asks the service expects those"),
    mark("version {number} scores as well (accuracy {accuracy})"),
    mark("version {number} scores better (accuracy {accuracy})"),
    # MLflow and S3
    mark("MLflow does not say what {name} version {number} is: {why}"),
    mark("MLflow does not say what run {run} made: {why}"),
    mark("MLflow does not say where the model of run {run} is: {why}"),
    mark("MLflow does not say who was champion of {name}: {why}"),
    mark("S3 does not give the files of {name} version {number}: {why}"),
    mark("MLflow does not start a run: {why}"),
    mark("MLflow does not take the run's parameters: {why}"),
    mark("MLflow does not start a model: {why}"),
    mark("S3 does not take the model ({place}): {why}"),
    mark("MLflow does not take the model: {why}"),
    mark("MLflow does not take the run's metrics: {why}"),
    mark("S3 does not take {file} ({place}): {why}"),
    mark("MLflow does not end the run: {why}"),
    mark("MLflow does not register a version of {name}: {why}"),
    mark("MLflow does not move the alias {alias} of {name}: {why}"),
)
_SERVING = (
    mark("the body has more than {most} bytes"),
    mark("the body is not JSON: {why} (NaN and Infinity are not JSON either)"),
    mark("give an object: {forms}"),
    mark('give {{"features": [[...], ...]}} with at least one row'),
    mark("{rows} rows; a batch has at most {most}"),
    mark("{rows} rows; at most {most}"),
    mark("{name} is missing"),
    mark("give a list of {count} numbers: {names}"),
    mark("{values} values, but the model takes {count}: {names}"),
    mark("{name} must be a number, not {value}"),
    mark("{name} must be a finite number"),
    mark("{name} must be from {low} to {high}, not {value}: the model was trained on {min} to {max}"),
    mark("this process is ending"),
    mark("no model to answer with: {why}"),
    mark("the registry has not answered yet"),
    mark("no model {name} with alias {alias} is registered"),
    mark("serving.json names a feature or a class twice, or by something that is no text"),
    mark("the self-test failed: golden rows are answered differently than at training time"),
    mark("the self-test failed: {why}"),
)
_PYDANTIC = (
    mark("Extra inputs are not permitted"),
    mark("Field required"),
    mark("Input should be a valid integer, unable to parse string as an integer"),
    mark("Input should be a valid integer"),
    mark("Input should be a valid string"),
    mark("Input should be a valid list"),
    mark("Input should be a valid tuple"),
    mark("Input should be a valid dictionary"),
    mark("Input should be a valid dictionary or instance of {name}"),
    mark("Input should be a valid boolean, unable to interpret input"),
    mark("Input should be a valid URL, {why}"),
    mark("Input should be greater than or equal to {low}"),
    mark("Input should be greater than {low}"),
    mark("Input should be less than or equal to {high}"),
    mark("Input should be less than {high}"),
    mark("Input should be {choices}"),
    mark("String should match pattern {pattern}"),
    mark("String should have at least {count} characters"),
    mark("String should have at least {count} character"),
    mark("String should have at most {count} characters"),
    mark("List should have at least {count} item after validation, not {found}"),
)
_BENCH = (
    mark("start"),
    mark("start again"),
    mark("creates/s, {clients} client"),
    mark("creates/s, {clients} clients"),
    mark("gets/s, {clients} client"),
    mark("gets/s, {clients} clients"),
    mark("list of them all"),
    mark("write to the last of {watchers} watchers"),
    mark("memory with {objects} ConfigMaps"),
    mark("{time} ms ({objects} objects)"),
    mark("{size} MB (with its controllers and etcd)"),
)
SHAPES = (*_TRAINING, *_SERVING, *_PYDANTIC, *_BENCH)
_SPOKEN = ("why", "what")
"""Places whose text is such a sentence, or a part of one, again."""


def said(text: str) -> str:
    """`text` in the user's language, where it is a sentence of ours; English, and what is not known, as it is."""
    if language() == "en":
        return text
    for shape in SHAPES:
        if found := _pattern(shape).fullmatch(text):
            values = {name: said(one) if name in _SPOKEN else one for name, one in found.groupdict().items()}
            return t(shape, **values) if values else t(shape)
    return text


def known(text: str) -> bool:
    return any(_pattern(shape).fullmatch(text) for shape in SHAPES)


@cache
def _pattern(shape: str) -> re.Pattern[str]:
    plain = shape.replace("{{", "\0").replace("}}", "\1")
    parts = re.split(r"\{(\w+)\}", plain)
    regex = "".join(f"(?P<{part}>.+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile(regex.replace("\0", re.escape("{")).replace("\1", re.escape("}")), re.DOTALL)
