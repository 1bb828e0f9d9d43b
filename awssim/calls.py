"""One meaning for every call: what is authorized is what is carried out.

ministack looks for a call's action in the address, a form and a header, whatever the service, and for its resource among any names that the
call carries; the handlers look elsewhere. With ``?Action=GetAuthorizationToken`` in the address of a DeleteRepository anybody who may log in
may delete. So before either sees it a call is brought to one form: the action stands where the service's protocol has it and nowhere else,
no parameter is given twice, and none is left that the operation does not have.
"""

import dataclasses
import json
import re
from typing import Any
from urllib.parse import parse_qs

from awssim import documents, grammar
from awssim.asgi import Query, Request
from awssim.errors import Refused

_QUERY_PROTOCOL = ("iam", "sts")
_ALWAYS = ("Action", "Version")
_NUMBERS = {"max-keys", "max-uploads", "max-parts", "max-buckets", "part-number-marker"}
_NUMBER = re.compile(r"[0-9]{1,9}")
_TAGS_OF = "/v20180820/tags/"
_BUCKET = re.compile(r"arn:aws:s3:::[a-z0-9.-]+")


def one_meaning(service: str, request: Request, body: bytes) -> tuple[Request, bytes]:
    """A call and its body in the form that both the check of rights and the handler read. Raises Refused where it has two meanings."""
    _check_once(request.query)
    if service in _QUERY_PROTOCOL:
        return _query(service, request, body), b""
    query = {name: values for name, values in request.query.items() if name not in _ALWAYS}
    if service == "ecr":
        return dataclasses.replace(request, query=query), _own_members(request, body)
    if service == "s3" and request.path.startswith(_TAGS_OF) and not _BUCKET.fullmatch(request.path[len(_TAGS_OF) :]):
        raise Refused("InvalidRequest", "Only a bucket has tags here, by its ARN.", status=400)
    _check_numbers(query)
    headers = {name: value for name, value in request.headers.items() if name != "x-amz-target"}
    return dataclasses.replace(request, query=query, headers=headers), body


def _check_numbers(query: Query) -> None:
    """S3's numbers in an address, each told with the rule it breaks."""
    for name in _NUMBERS & query.keys():
        if (text := query[name][0]) and not _NUMBER.fullmatch(text):
            message = f"Provided {name} not an integer or within integer range"
            raise Refused("InvalidArgument", message, status=400)


def _check_once(query: Query) -> None:
    twice = sorted(name for name, values in query.items() if len(values) > 1)
    if twice:
        raise Refused("InvalidArgument", f"The parameter {twice[0]} is given twice.", status=400)


def _query(service: str, request: Request, body: bytes) -> Request:
    """The query protocol: the parameters of the address and of the form, together in the address."""
    form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True) if request.method == "POST" else {}
    _check_once(form)
    _check_once({name: [*form.get(name, []), *request.query.get(name, [])] for name in form})
    given = {**request.query, **form}
    known = grammar.members(service, given.get("Action", [""])[0])
    kept = {name: values for name, values in given.items() if known is None or name.partition(".")[0] in known}
    kept |= {name: given[name] for name in _ALWAYS if name in given}
    headers = {name: value for name, value in request.headers.items() if name != "x-amz-target"}
    return dataclasses.replace(request, query=kept, headers=headers)


def _own_members(request: Request, body: bytes) -> bytes:
    """The JSON protocol: the call's own members, each once."""
    try:
        call: Any = documents.read(body or b"{}")
    except ValueError:
        call = None
    if not isinstance(call, dict):
        raise Refused("SerializationException", "The body is not a JSON object.", status=400)
    operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
    if reason := grammar.misfit("ecr", operation, call):
        raise Refused("SerializationException", reason, status=400)
    known = grammar.members("ecr", operation)
    return json.dumps({name: value for name, value in call.items() if known is None or name in known}).encode()
