"""What ECR tells of the registry as a whole: ministack knows none of it. It cannot be changed here, so what is told is what there is.

Scanning is basic and each repository says for itself whether it scans on push; there is no registry policy, no cache of other registries
and no template.
"""

from collections.abc import Callable
from typing import Any

from awssim.registry.errors import EcrError
from awssim.registry.registry import Registry

Call = dict[str, Any]
Answer = dict[str, Any]
_FIXED = ("PutRegistryScanningConfiguration", "PutReplicationConfiguration", "PutRegistryPolicy", "PutAccountSetting")
_NEVER_MADE = ("CreatePullThroughCacheRule", "CreateRepositoryCreationTemplate")
_SETTINGS = {"BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE", "REGISTRY_POLICY_SCOPE": "V2", "BLOB_MOUNTING": "ENABLED"}


class Account:
    """The operations, as a table of their names."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.operations: dict[str, Callable[[Call, str], Answer]] = {
            "GetRegistryPolicy": self.policy, "GetRegistryScanningConfiguration": self.scanning,
            "BatchGetRepositoryScanningConfiguration": self.scanned, "GetAccountSetting": self.setting,
            "DescribePullThroughCacheRules": lambda _call, _region: {"pullThroughCacheRules": []},
            "DescribeRepositoryCreationTemplates": lambda _call, _region: {**self._about, "repositoryCreationTemplates": []},
            **dict.fromkeys((*_FIXED, *_NEVER_MADE), self.fixed),
        }  # fmt: skip

    @property
    def _about(self) -> Answer:
        return {"registryId": self._registry.settings.account}

    def policy(self, call: Call, region: str) -> Answer:
        raise EcrError(
            "RegistryPolicyNotFoundException",
            f"Registry policy does not exist in the registry with id '{self._registry.settings.account}'",
        )

    def scanning(self, call: Call, region: str) -> Answer:
        return {**self._about, "scanningConfiguration": {"scanType": "BASIC", "rules": []}}

    def scanned(self, call: Call, region: str) -> Answer:
        found, failures = [], []
        for name in call.get("repositoryNames") or []:
            try:
                record = self._registry.repository(name, region)
            except EcrError as error:
                failures.append(
                    {"repositoryName": name, "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": error.message}
                )
                continue
            on_push = bool((record.get("imageScanningConfiguration") or {}).get("scanOnPush"))
            found.append(
                {
                    "repositoryArn": record["repositoryArn"], "repositoryName": name, "scanOnPush": on_push,
                    "scanFrequency": "SCAN_ON_PUSH" if on_push else "MANUAL", "appliedScanFilters": [],
                }
            )  # fmt: skip
        return {"scanningConfigurations": found, "failures": failures}

    def setting(self, call: Call, region: str) -> Answer:
        name = str(call.get("name", ""))
        if name not in _SETTINGS:
            raise EcrError("InvalidParameterException", f"Invalid parameter at 'name': '{name}' is not a setting")
        return {"name": name, "value": _SETTINGS[name]}

    def fixed(self, call: Call, region: str) -> Answer:
        raise EcrError(
            "ValidationException", "This lab's registry is as it is; what is set for one repository is taken."
        )
