"""Questions about a bucket that ministack answers with a listing of its keys: it misspells one, and does not know the others."""

from typing import Any

from awssim.overrides.replace import replace

_LISTS = {
    "analytics": "ListBucketAnalyticsConfigurationResult",
    "inventory": "ListInventoryConfigurationsResult",
    "metrics": "ListMetricsConfigurationsResult",
    "intelligent-tiering": "ListBucketIntelligentTieringConfigurationsOutput",
}
_UNKNOWN = {*_LISTS, "metadataTable", "metadataConfiguration", "session"}


def apply() -> None:
    from ministack.services import s3

    def make(original: Any) -> Any:
        def dispatch(method: str, bucket: str, key: str, headers: Any, body: bytes, query: Any) -> Any:
            asked = set(query or ()) if bucket and not key else set[str]()
            if method == "GET" and "requestPayment" in asked:
                return s3._get_bucket_request_payment(bucket)
            if method == "GET" and "policyStatus" in asked:
                return _policy_status(s3, bucket)
            kind = next((name for name in _LISTS if name in asked), "")
            if kind and method != "PUT" and bucket in s3._buckets:
                return _none_of(s3, kind, method, query)
            if asked & _UNKNOWN:
                message = "A header or query you provided implies functionality that is not implemented."
                return s3._error("NotImplemented", message, 501)
            return original(method, bucket, key, headers, body, query)

        return dispatch

    replace(s3, "_dispatch", make)


def _none_of(s3: Any, kind: str, method: str, query: Any) -> Any:
    """There are no configurations of this kind, as none can be made."""
    if method != "GET" or "id" in query:
        return s3._error("NoSuchConfiguration", "The specified configuration does not exist.", 404)
    root = s3.Element(_LISTS[kind], xmlns=s3.S3_NS)
    s3.SubElement(root, "IsTruncated").text = "false"
    return 200, {"Content-Type": "application/xml"}, s3._xml_body(root)


def _policy_status(s3: Any, bucket: str) -> Any:
    status, headers, policy = s3._get_bucket_policy(bucket)
    if status != 200:
        return status, headers, policy
    text = policy.decode() if isinstance(policy, bytes) else policy
    root = s3.Element("PolicyStatus", xmlns=s3.S3_NS)
    s3.SubElement(root, "IsPublic").text = str(bool(s3._policy_is_public(text))).lower()
    return 200, {"Content-Type": "application/xml"}, s3._xml_body(root)
