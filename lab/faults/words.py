"""What an instructor says to a student, fault by fault, in the guides' two languages. Names in braces are the tenant's, as in `Fault.symptom`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Words:
    """`who` applies the cure; `english` and `korean` say the same."""

    who: Literal["student", "instructor"]
    english: str
    korean: str


WORDS: dict[str, Words] = {
    "unauthorized-kubeconfig": Words(
        "student",
        "Your kubeconfig is for another cluster or its sign-in has ended. Nothing of yours is lost: fetch it again.",
        "kubeconfig가 다른 클러스터의 것이거나 인증이 만료되었습니다. 작업한 내용은 그대로 남아 있으니 kubeconfig를 다시 받으세요.",
    ),
    "owner-mismatch": Words(
        "instructor",
        "Your Profile names somebody else as its owner. I set it to {email}; then run part 1 again.",
        "Profile의 소유자가 다른 이메일로 되어 있습니다. 제가 {email}(으)로 바꾼 뒤에 Part 1 검증을 다시 실행하세요.",
    ),
    "s3-access-denied": Words(
        "instructor",
        "Show me aws sts get-caller-identity. If it says {user}, your keys are right and your IAM policy is mine to attach.",
        "aws sts get-caller-identity 결과를 보여 주세요. {user}(으)로 나오면 키는 맞습니다. IAM 정책은 제가 연결하겠습니다.",
    ),
    "poddefault-missing": Words(
        "instructor",
        "The PodDefault that gives your pods MLFLOW_TRACKING_URI is gone. I recreate it; pods made until then must be made again.",
        "파드에 MLFLOW_TRACKING_URI를 넣어 주는 PodDefault가 없습니다. 제가 다시 만들 테니, 그사이에 만든 파드는 지우고 다시 생성하세요.",
    ),
    "mlflow-down": Words(
        "student",
        "Your MLflow server has no pod. Start it, wait until it is Ready, then log the run again: finished runs are kept.",
        "MLflow 서버 파드가 없습니다. 서버를 시작하고 Ready가 되면 다시 기록하세요. 이미 끝난 실행(run)은 그대로 남아 있습니다.",
    ),
    "cross-tenant-access": Words(
        "instructor",
        "You should not see that namespace, and it is not your mistake. Please touch nothing there while I remove the RoleBinding.",
        "다른 사용자의 네임스페이스가 보이면 안 됩니다. 본인의 실수가 아닙니다. 제가 RoleBinding을 지울 때까지 그곳의 리소스는 건드리지 마세요.",
    ),
    "bucket-missing": Words(
        "student",
        "Your bucket is gone. Make it again with the command below; I bring its objects and settings back.",
        "버킷이 없습니다. 아래 명령으로 다시 만드세요. 객체와 설정은 제가 복구하겠습니다.",
    ),
    "ecr-missing": Words(
        "student",
        "The repository you push to does not exist. Create it, then push again: your image is still on your machine.",
        "푸시할 ECR 리포지토리가 없습니다. 만든 뒤 다시 푸시하세요. 이미지는 로컬에 그대로 있습니다.",
    ),
    "quota-exhausted": Words(
        "student",
        "Your namespace has no CPU left for new pods. Look at kubectl describe quota, and delete what you no longer need.",
        "네임스페이스의 CPU 쿼터를 모두 사용했습니다. kubectl describe quota로 확인하고 더 이상 필요하지 않은 리소스를 삭제하세요.",
    ),
    "image-not-found": Words(
        "student",
        "The pod asks for an image that is not there: read its name letter by letter. The old pod keeps serving; undo the rollout.",
        "파드가 요청한 이미지가 없습니다. 이미지 이름을 확인하세요. 이전 파드는 계속 동작하고 있으니 rollout undo로 되돌리면 됩니다.",
    ),
    "pvc-unbound": Words(
        "student",
        "Your PVC names a StorageClass that this cluster does not have. Delete it and make it again without storageClassName.",
        "PVC의 StorageClass가 이 클러스터에 없습니다. PVC를 지우고 storageClassName 없이 다시 만드세요.",
    ),
    "postgres-down": Words(
        "instructor",
        "MLflow cannot reach its database; everybody sees it. Wait, nothing is lost: I start PostgreSQL.",
        "MLflow가 데이터베이스에 연결하지 못합니다. 모두에게 나타나는 문제이고 데이터는 안전합니다. 제가 PostgreSQL을 시작할 때까지 기다리세요.",
    ),
}
