"""AWS's own policies: those for ECR, and for changing one's own password, which ministack lacks. It lets anybody attach a policy there is not,
so a name that is misspelt silently allows nothing.
"""

import json
from typing import Any

from awssim.errors import Refused

_READ = [
    "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories", "ecr:ListImages", "ecr:DescribeImages", "ecr:BatchGetImage", "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview", "ecr:ListTagsForResource", "ecr:DescribeImageScanFindings",
]  # fmt: skip
_WRITE = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"]
_PASSWORD = [
    {"Effect": "Allow", "Action": "iam:ChangePassword", "Resource": "arn:aws:iam::*:user/${aws:username}"},
    {"Effect": "Allow", "Action": "iam:GetAccountPasswordPolicy", "Resource": "*"},
]
_STATEMENTS: dict[str, list[dict[str, Any]]] = {
    "AmazonEC2ContainerRegistryReadOnly": [{"Effect": "Allow", "Action": _READ, "Resource": "*"}],
    "AmazonEC2ContainerRegistryPowerUser": [{"Effect": "Allow", "Action": [*_READ, *_WRITE], "Resource": "*"}],
    "AmazonEC2ContainerRegistryFullAccess": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}],
    "IAMUserChangePassword": _PASSWORD,
}
_ATTACH = ("AttachUserPolicy", "AttachGroupPolicy", "AttachRolePolicy")
_BOUNDARY = ("PutUserPermissionsBoundary", "PutRolePermissionsBoundary")


def apply() -> None:
    from ministack.services import iam

    for name, statements in _STATEMENTS.items():
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        record = iam._make_aws_managed_record(name, document)
        iam._aws_managed_policies.setdefault(record["Arn"], record)


def check_attached(iam: Any, action: str, call: dict[str, str]) -> None:
    """Refuse to attach a policy that does not exist."""
    name = "PolicyArn" if action in _ATTACH else "PermissionsBoundary"
    arn = call.get(name, "")
    if action in (*_ATTACH, *_BOUNDARY) and iam._lookup_policy(arn) is None:
        raise Refused("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", status=404)
