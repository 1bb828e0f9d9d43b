"""Which resource and which action a call is authorized on.

ministack drops empty parts of an S3 key from its ARN (``a//b`` and ``a/`` become ``a/b`` and ``a``), knows no resource for
``ecr:DescribeRepositories`` with names or an IAM call on oneself, and lets through any call whose action it cannot tell. It also takes an
action or a parameter out of a form that is another service's content. Here the ARN is exact, every named repository is checked, and an
unknown action is denied unless a policy allows everything.
"""

from typing import Any

from awssim import documents
from awssim.overrides import tags
from awssim.overrides.replace import replace

_ON_GROUP = ("AddUserToGroup", "RemoveUserFromGroup")


class Resources(str):
    """The ARN a call is authorized on, and the others it names too."""

    more: tuple[str, ...] = ()


def apply() -> None:
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator

    def make_resource(original: Any) -> Any:
        def extract(
            service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
        ) -> str:
            found = str(original(service, method, path, headers, body, query, region, account))
            if service == "s3":
                return s3_resource(path, found)
            if service == "ecr":
                return ecr_resource(body, found, f"arn:aws:ecr:{region}:{account}:repository", headers)
            if service == "iam":
                return iam_resource(query, found, account)
            return found

        return extract

    def make_action(original: Any) -> Any:
        def extract(service: str, method: str, path: str, headers: Any, body: bytes, query: Any) -> str:
            told = {name: value for name, value in headers.items() if name != "content-type"}
            return str(original(service, method, path, told, b"", query) or f"{service}:UnknownOperation")

        return extract

    def make_enforce(original: Any) -> Any:
        def enforce(*arguments: Any, resource_arn: str = "*", service_context: dict[str, Any] | None = None) -> Any:
            for arn in (str(resource_arn), *getattr(resource_arn, "more", ())):
                about = {**tags.context(arn), **(service_context or {})}
                denied = original(*arguments, resource_arn=arn, service_context=about)
                if denied:
                    return denied
            return None

        return enforce

    replace(iam_actions, "extract_resource_arn", make_resource)
    replace(iam_actions, "extract_iam_action", make_action)
    replace(iam_evaluator, "enforce", make_enforce)
    replace(app, "_routing_params", lambda _: lambda _method, _path, _headers, _body, query: query)


def s3_resource(path: str, found: str) -> str:
    """The exact ARN of a bucket or object path; ministack's answer where it names a batch's first object."""
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or (not key and found != f"arn:aws:s3:::{bucket}"):
        return found
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def ecr_resource(body: bytes, found: str, prefix: str, headers: Any) -> str:
    """The repositories an ECR call names."""
    try:
        call = documents.read(body or b"{}")
    except ValueError:
        return found
    if not isinstance(call, dict):
        return found
    names = [name for name in (call.get("repositoryName"), *(call.get("repositoryNames") or ())) if name]
    named = [f"{prefix}/{name}" for name in names] + [arn for arn in [call.get("resourceArn")] if arn]
    if named:
        resources = Resources(named[0])
        resources.more = tuple(named[1:])
        return resources
    if headers.get("x-amz-target", "").endswith("DescribeRepositories"):
        return f"{prefix}/*"
    return found


def iam_resource(query: Any, found: str, account: str) -> str:
    """The user, group or policy an IAM call is about; the caller where it names none."""
    from ministack.core.iam_evaluator import caller_arn
    from ministack.services import iam

    def parameter(name: str) -> str:
        value = query.get(name, "")
        return str(value[0] if isinstance(value, list) else value)

    action, user = parameter("Action"), parameter("UserName")
    if action in _ON_GROUP:
        return f"arn:aws:iam::{account}:group/{parameter('GroupName')}"
    if user and found.endswith(f":user/{user}"):
        return str((iam._users.get_scoped(account, None, user) or {}).get("Arn") or found)
    if action == "CreatePolicy":
        return f"arn:aws:iam::{account}:policy{parameter('Path') or '/'}{parameter('PolicyName')}"
    if found == "*" and ("AccessKey" in action or action == "GetUser"):
        return str(caller_arn() or found)
    return found
