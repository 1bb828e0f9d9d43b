"""Every word of the pages, in English and Korean: one catalogue, so that a word in one language only is a failing test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

T = TypeVar("T")
Language = Literal["en", "ko"]
LANGUAGES: Mapping[Language, str] = {"en": "English", "ko": "한국어"}

WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("MLOps lab", "MLOps 실습"),
    "skip": ("Skip to content", "본문으로 건너뛰기"),
    "live": ("live", "실시간"),
    "not_live": ("not live: trying again", "연결 끊김: 다시 연결 중"),
    "theme": ("Light or dark", "밝게 또는 어둡게"),
    "sign_out": ("Sign out", "로그아웃"),
    "instructor": ("instructor", "강사"),
    "student": ("student", "수강생"),
    "class": ("Class", "전체 현황"),
    # sign-in
    "sign_in": ("Sign in", "로그인"),
    "sign_in_how": (
        "Type this in the lab's folder; it prints a code that is good once, for two minutes.",
        "실습 폴더에서 아래 명령을 입력하세요. 2분 동안 한 번만 쓸 수 있는 코드가 출력됩니다.",
    ),
    "sign_in_student": ("as a student", "수강생"),
    "sign_in_instructor": ("as the instructor", "강사"),
    "sign_in_kubectl": ("or, with kubectl alone", "또는 kubectl만으로"),
    "code_or_token": ("Code or token", "코드 또는 토큰"),
    "sign_in_wrong": (
        "That is no code or token that is good now. A code is good once, for two minutes.",
        "사용할 수 없는 코드 또는 토큰입니다. 코드는 2분 동안 한 번만 쓸 수 있습니다.",
    ),
    "sign_in_nobody": (
        "The token is good, but its account may see nothing here.",
        "토큰은 유효하지만 이 계정으로 볼 수 있는 것이 없습니다.",
    ),
    "sign_in_wait": ("Too many attempts. Wait a minute.", "시도가 너무 많습니다. 1분 뒤 다시 시도하세요."),
    # states
    "pass": ("passed", "통과"),
    "fail": ("failed", "실패"),
    "skip_state": ("skipped", "건너뜀"),
    "unknown": ("not run yet", "아직 실행 안 됨"),
    "ready": ("ready", "준비됨"),
    "not_ready": ("not ready", "준비 안 됨"),
    "absent": ("absent", "없음"),
    "starting": ("starting", "시작 중"),
    "stopped": ("stopped", "중지됨"),
    "running": ("running", "실행 중"),
    "succeeded": ("succeeded", "성공"),
    "failed": ("failed", "실패"),
    "suspended": ("suspended", "일시 중지"),
    "pending": ("pending", "대기 중"),
    "waiting": ("waiting", "대기 중"),
    "done": ("done", "완료"),
    "running_not_ready": ("Running, not ready", "Running, 준비 안 됨"),
    "looking": ("Looking …", "확인하는 중…"),
    # headline and grid
    "all_ready": ("Everybody is ready", "모두 준비되었습니다"),
    "people_ready": ("{people} of {total} ready", "{total}명 중 {people}명 준비됨"),
    "no_people": ("Nobody is in the class yet", "아직 참가자가 없습니다"),
    "no_people_how": ("./inv up --tenants 01,20 starts tenants", "./inv up --tenants 01,20 명령으로 시작하세요"),
    "agent_away": (
        "The checks are not running. Start them with",
        "검증이 실행되고 있지 않습니다. 다음 명령으로 시작하세요:",
    ),
    "check_now": ("Check now", "지금 검증"),
    "checks": ("Checks", "검증"),
    "grid_help": (
        "Tenants by checks. Arrow keys move, Enter shows the hint.",
        "테넌트별 검증 결과. 화살표 키로 이동하고 Enter로 힌트를 봅니다.",
    ),
    "tenant": ("Tenant", "테넌트"),
    "kubeflow": ("Kubeflow", "Kubeflow"),
    "mlflow": ("MLflow", "MLflow"),
    "storage": ("Storage", "스토리지"),
    "saw": ("What was seen", "확인한 내용"),
    "hint": ("What to do", "해결 방법"),
    "because": ("Waits for", "먼저 해결할 항목"),
    "close": ("Close", "닫기"),
    "copy": ("Copy", "복사"),
    "copied": ("Copied", "복사됨"),
    # tenants
    "tenants": ("Tenants", "테넌트"),
    "cpu_quota": ("CPU quota", "CPU 쿼터"),
    "memory_quota": ("Memory quota", "메모리 쿼터"),
    "no_quota": ("no quota", "쿼터 없음"),
    "of": ("{used} of {hard}", "{used} / {hard}"),
    "pods": ("Pods", "파드"),
    "pods_count": ("{running} running", "{running}개 실행 중"),
    "pods_waiting": ("{waiting} waiting", "{waiting}개 대기"),
    "pods_failed": ("{failed} failed", "{failed}개 실패"),
    "bucket": ("Bucket", "버킷"),
    "bucket_size": ("{size}, {objects} objects", "{size}, 객체 {objects}개"),
    "last_run": ("Last run", "마지막 실행"),
    "notebooks": ("Notebooks", "노트북"),
    "none": ("none", "없음"),
    "open": ("Open", "열기"),
    "namespace": ("Namespace", "네임스페이스"),
    "restarts": ("Restarts", "재시작"),
    "since": ("Since", "시작"),
    "state": ("State", "상태"),
    "name": ("Name", "이름"),
    "commands": ("Commands to type", "입력할 명령"),
    "copy_all": ("Copy the commands", "명령 모두 복사"),
    "no_notebook": ("No Notebook yet.", "아직 노트북이 없습니다."),
    "notebook_how": (
        "It opens here as soon as it is ready; MLflow is set up in it.",
        "준비되면 여기에서 열 수 있고, MLflow가 설정되어 있습니다.",
    ),
    # serving
    "serving": ("Serving", "서빙"),
    "requests_per_second": ("Requests per second", "초당 요청"),
    "latency": ("Latency, 95th percentile", "지연 시간 (95 백분위)"),
    "median": ("median {ms} ms", "중앙값 {ms} ms"),
    "cpu_of_request": ("CPU of request", "요청 대비 CPU"),
    "replicas": ("Replicas", "레플리카"),
    "replicas_of": ("{ready} of {wanted}, at most {most}", "{ready} / {wanted}, 최대 {most}"),
    "target": ("target {percent} %", "목표 {percent} %"),
    "last_minutes": ("the last two minutes", "최근 2분"),
    "no_serving": (
        "No iris service is ready. A training makes its first model:",
        "준비된 iris 서비스가 없습니다. 학습하면 첫 모델이 만들어집니다:",
    ),
    "chart_says": ("{name}: now {now}, highest {top}", "{name}: 현재 {now}, 최고 {top}"),
    # training
    "training": ("Training", "학습"),
    "jobs": ("Jobs", "작업"),
    "mlflow_away": ("MLflow does not answer ({why})", "MLflow가 응답하지 않습니다 ({why})"),
    "no_jobs": ("No training Job yet. Start one:", "아직 학습 작업이 없습니다. 시작 명령:"),
    "leaderboard": ("Leaderboard", "순위표"),
    "runs": ("Runs", "실행 기록"),
    "no_runs": ("No run yet.", "아직 실행 기록이 없습니다."),
    "accuracy": ("Accuracy", "정확도"),
    "f1": ("F1", "F1"),
    "run": ("Run", "실행"),
    "parameters": ("Parameters", "매개변수"),
    "usually": ("usually {seconds}", "보통 {seconds}"),
    "progress": ("Progress of {name}", "{name} 진행"),
    # cluster
    "cluster": ("Cluster", "클러스터"),
    "nodes": ("Nodes", "노드"),
    "memory": ("Memory", "메모리"),
    "cpu": ("CPU", "CPU"),
    "version": ("Version", "버전"),
    "events": ("Recent events", "최근 이벤트"),
    "no_events": ("Nothing happened lately.", "최근 이벤트가 없습니다."),
    "when": ("When", "시각"),
    "object": ("Object", "대상"),
    "reason": ("Reason", "이유"),
    "message": ("Message", "메시지"),
    "type": ("Type", "종류"),
    # faults
    "faults": ("Faults", "장애 연습"),
    "fault": ("Fault", "장애"),
    "broken_now": ("Broken now", "현재 장애"),
    "nothing_broken": ("Nothing is broken.", "현재 장애가 없습니다."),
    "everybody": ("everybody", "전원"),
    "break": ("Break", "고장 내기"),
    "mend": ("Mend", "고치기"),
    "rehearse": ("Rehearse", "리허설"),
    "verify": ("Check", "검증"),
    "pressed": ("Lately", "최근 요청"),
    "say": ("What to say", "안내 문구"),
}


class Translate:
    """`t("of", used="1", hard="8")` in one language; `t.lang` is its code."""

    def __init__(self, lang: Language) -> None:
        self.lang = lang
        self._at = 1 if lang == "ko" else 0

    def __call__(self, key: str, **names: object) -> str:
        text = WORDS[key][self._at]
        return text.format(**names) if names else text

    def either(self, english: T, korean: T) -> T:
        """Of two texts (or lists of lines) that the cluster gives, the one in this language where there is one."""
        return korean if self._at and korean else english


def choose(cookie: str, accepted: str) -> Language:
    """The visitor's choice, else the first language of theirs that we speak, else English."""
    if cookie in ("en", "ko"):
        return "ko" if cookie == "ko" else "en"
    for part in accepted.lower().split(","):
        if part.strip().startswith(("ko", "en")):
            return "ko" if part.strip().startswith("ko") else "en"
    return "en"
