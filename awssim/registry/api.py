"""ECR's JSON API: the registry's own operations here, repositories and their settings by ministack, corrected on the way."""

import base64
import sqlite3
from typing import Any

from awssim import documents, grammar
from awssim.overrides.replace import replace
from awssim.registry import mutability
from awssim.registry.account import Account
from awssim.registry.errors import EcrError
from awssim.registry.images import Images, check_lifecycle, page
from awssim.registry.layers import Layers
from awssim.registry.policy import check_policy
from awssim.registry.registry import Registry

_POLICIES = {
    "GetRepositoryPolicy": ("_repo_policies", "Repository"), "DeleteRepositoryPolicy": ("_repo_policies", "Repository"),
    "GetLifecyclePolicy": ("_lifecycle_policies", "Lifecycle"), "DeleteLifecyclePolicy": ("_lifecycle_policies", "Lifecycle"),
}  # fmt: skip


class Api:
    """Stands in the place of ``ministack.services.ecr.handle_request``."""

    def __init__(self, registry: Registry, ecr: Any) -> None:
        self._registry = registry
        self._ecr = ecr
        self._original = ecr.handle_request
        replace(ecr, "_repo_shape", lambda shape: lambda record: shape(record) | mutability.told(record))
        tables = (Images(registry), Layers(registry), Account(registry))
        self._operations = {name: run for table in tables for name, run in table.operations.items()}
        self._operations["PutImageTagMutability"] = self._put_mutability

    async def handle_request(self, method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        from ministack.core.responses import error_response_json, get_region, json_response

        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            call = documents.read(body or b"{}")
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
        if answer[0] == 200 and operation == "CreateRepository":
            return json_response({"repository": self._made(call)})
        if answer[0] == 200 and operation == "DescribeRepositories" and not call.get("repositoryNames"):
            return json_response(page(call, "repositories", self._repositories(get_region()), 100))
        return answer

    def _made(self, call: dict[str, Any]) -> Any:
        record = self._ecr._repositories[call["repositoryName"]]
        mutability.keep(record, call)
        return self._ecr._repo_shape(record)

    def _repositories(self, region: str) -> list[Any]:
        """All repositories by name; ministack gives the first page only, in the order they were made."""
        found = [
            (name, record) for (_, place, name), record in self._ecr._repositories._data.items() if place == region
        ]
        return [self._ecr._repo_shape(record) for _, record in sorted(found)]

    def _check(self, operation: str, call: dict[str, Any], region: str) -> None:
        """What ministack does not refuse."""
        name = call.get("repositoryName", "")
        if found := grammar.problem("ecr", operation, call):
            raise EcrError(
                "InvalidParameterException",
                f"Invalid parameter at '{found[0]}' failed to satisfy constraint: '{found[1]}'",
            )
        if call.get("registryId", self._registry.settings.account) != self._registry.settings.account:
            raise EcrError(
                "RepositoryNotFoundException",
                f"The repository with name '{name}' does not exist in the registry with id '{call['registryId']}'",
            )
        if operation in ("CreateRepository", "PutImageTagMutability"):
            mutability.check(call)
        if operation == "CreateRepository" and name in self._registry.names(region):
            raise EcrError(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry with id '{self._registry.settings.account}'",
            )
        if operation in _POLICIES:
            self._check_has(operation, str(name), region)
        if operation == "PutLifecyclePolicy":
            check_lifecycle(str(call.get("lifecyclePolicyText", "")))
        if operation == "SetRepositoryPolicy":
            check_policy(str(call.get("policyText", "")))
        if operation == "DeleteRepository" and not call.get("force"):
            self._registry.repository(str(name), region)
            if self._registry.store.images(self._registry.key(str(name), region)):
                raise EcrError(
                    "RepositoryNotEmptyException",
                    f"The repository with name '{name}' in registry with id '{self._registry.settings.account}' "
                    "cannot be deleted because it still contains images",
                )

    def _check_has(self, operation: str, name: str, region: str) -> None:
        """Refuse to tell or delete a policy that a repository does not have, in ECR's words."""
        self._registry.repository(name, region)
        store, what = _POLICIES[operation]
        if name not in getattr(self._ecr, store):
            raise EcrError(
                f"{what}PolicyNotFoundException",
                f"{what} policy does not exist for the repository with name '{name}' in the registry with id "
                f"'{self._registry.settings.account}'",
            )

    def _put_mutability(self, call: dict[str, Any], region: str) -> dict[str, Any]:
        self._registry.repository(str(call.get("repositoryName", "")), region)
        record = self._ecr._repositories[call["repositoryName"]]
        mutability.keep(record, call)
        return {
            "registryId": self._registry.settings.account, "repositoryName": call["repositoryName"], **mutability.told(record),
        }  # fmt: skip

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
