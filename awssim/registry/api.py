"""ECR's JSON API: the registry's own operations here, repositories and their settings by ministack, corrected on the way."""

import base64
import json
import sqlite3
from typing import Any

from awssim.registry import names
from awssim.registry.images import Images, check_lifecycle, page
from awssim.registry.layers import Layers
from awssim.registry.registry import EcrError, Registry


class Api:
    """Stands in the place of ``ministack.services.ecr.handle_request``."""

    def __init__(self, registry: Registry, ecr: Any) -> None:
        self._registry = registry
        self._ecr = ecr
        self._original = ecr.handle_request
        self._operations = {**Images(registry).operations, **Layers(registry).operations}

    async def handle_request(self, method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        from ministack.core.responses import error_response_json, get_region, json_response

        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            call = json.loads(body or b"{}")
        except ValueError:
            return error_response_json("SerializationException", "Invalid JSON", 400)
        try:
            self._check(operation, call, get_region())
            if operation == "GetAuthorizationToken":
                return json_response(self._token(headers, get_region()))
            if operation in self._operations:
                return json_response(self._operations[operation](call, get_region()))
        except EcrError as error:
            return error_response_json(error.code, error.message, 400)
        except (OSError, sqlite3.DatabaseError) as error:
            return error_response_json("ServerException", f"The registry cannot store or read content: {error}", 500)
        answer = await self._original(method, path, headers, body, query)
        if answer[0] == 200:
            await self._afterwards(operation, call, get_region())
        if answer[0] == 200 and operation == "DescribeRepositories" and not call.get("repositoryNames"):
            return json_response(page(call, "repositories", self._repositories(get_region()), 100))
        return answer

    def _repositories(self, region: str) -> list[Any]:
        """All repositories by name; ministack gives the first page only, in the order they were made."""
        found = [
            (name, record) for (_, place, name), record in self._ecr._repositories._data.items() if place == region
        ]
        return [self._ecr._repo_shape(record) for _, record in sorted(found)]

    def _check(self, operation: str, call: dict[str, Any], region: str) -> None:
        """What ministack does not refuse."""
        name = call.get("repositoryName", "")
        if operation == "CreateRepository" and not names.is_repository(str(name)):
            raise EcrError(
                "InvalidParameterException",
                f"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '{names.REPOSITORY}''",
            )
        if operation == "PutLifecyclePolicy":
            check_lifecycle(str(call.get("lifecyclePolicyText", "")))
        if operation == "SetRepositoryPolicy":
            _check_policy(str(call.get("policyText", "")))
        if operation == "DeleteRepository" and not call.get("force"):
            self._registry.repository(str(name), region)
            if self._registry.store.images(self._registry.key(str(name), region)):
                raise EcrError(
                    "RepositoryNotEmptyException",
                    f"The repository with name '{name}' in registry with id '{self._registry.settings.account}' "
                    "cannot be deleted because it still contains images",
                )

    async def _afterwards(self, operation: str, call: dict[str, Any], region: str) -> None:
        if operation == "DeleteRepository":
            self._registry.store.delete_repository(self._registry.key(call["repositoryName"], region))
        if operation == "PutLifecyclePolicy":
            await self._registry.apply_lifecycle(call["repositoryName"], region)

    def _token(self, headers: Any, region: str) -> dict[str, Any]:
        from ministack.core.router import extract_access_key_id

        token, expires = self._registry.tokens.issue(str(extract_access_key_id(headers)))
        authorization = base64.b64encode(f"AWS:{token}".encode()).decode()
        account = self._registry.settings.account
        proxy = f"https://{account}.dkr.ecr.{region}.amazonaws.com"
        return {
            "authorizationData": [{"authorizationToken": authorization, "expiresAt": expires, "proxyEndpoint": proxy}]
        }


def _check_policy(text: str) -> None:
    """A repository policy is JSON with statements that name principals and ECR's actions."""
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements or not all(map(_is_statement, statements)):
        raise EcrError(
            "InvalidParameterException",
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
        )


def _is_statement(value: Any) -> bool:
    if (
        not isinstance(value, dict)
        or value.get("Effect") not in ("Allow", "Deny")
        or "Principal" not in value
        or "Resource" in value
    ):
        return False
    actions = value.get("Action", [])
    actions = [actions] if isinstance(actions, str) else actions
    return bool(actions) and all(str(action) == "*" or str(action).startswith("ecr:") for action in actions)
