terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region            = "ap-northeast-2"
  s3_use_path_style = true
}
variable "step" { default = "1" }
data "aws_caller_identity" "me" {}
resource "aws_s3_bucket" "b" {
  bucket        = "tf-course-bucket"
  force_destroy = true
  tags          = { Course = "mlops", Step = var.step }
}
resource "aws_s3_bucket_versioning" "b" {
  bucket = aws_s3_bucket.b.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "b" {
  bucket = aws_s3_bucket.b.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
    bucket_key_enabled = true
  }
}
resource "aws_s3_bucket_public_access_block" "b" {
  bucket                  = aws_s3_bucket.b.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
resource "aws_s3_bucket_ownership_controls" "b" {
  bucket = aws_s3_bucket.b.id
  rule { object_ownership = "BucketOwnerEnforced" }
}
resource "aws_s3_bucket_lifecycle_configuration" "b" {
  bucket = aws_s3_bucket.b.id
  rule {
    id     = "old"
    status = "Enabled"
    filter { prefix = "tmp/" }
    expiration { days = 30 }
    noncurrent_version_expiration { noncurrent_days = 7 }
    abort_incomplete_multipart_upload { days_after_initiation = 3 }
  }
}
resource "aws_s3_bucket_cors_configuration" "b" {
  bucket = aws_s3_bucket.b.id
  cors_rule {
    allowed_methods = ["GET"]
    allowed_origins = ["http://localhost:8080"]
  }
}
resource "aws_s3_bucket_policy" "b" {
  bucket = aws_s3_bucket.b.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Own", Effect = "Allow", Principal = { AWS = aws_iam_user.u.arn }, Action = "s3:GetObject", Resource = "${aws_s3_bucket.b.arn}/*" }]
  })
}
resource "aws_s3_object" "o" {
  bucket  = aws_s3_bucket.b.id
  key     = "mlflow-artifacts/한글.txt"
  content = "hello ${var.step}"
  tags    = { a = "b" }
}
resource "aws_ecr_repository" "r" {
  name                 = "tf/iris-api"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true
  image_scanning_configuration { scan_on_push = true }
  tags = { Course = "mlops", Step = var.step }
}
resource "aws_ecr_lifecycle_policy" "r" {
  repository = aws_ecr_repository.r.name
  policy     = jsonencode({ rules = [{ rulePriority = 1, description = "old", selection = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }, action = { type = "expire" } }] })
}
resource "aws_ecr_repository_policy" "r" {
  repository = aws_ecr_repository.r.name
  policy     = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "pull", Effect = "Allow", Principal = { AWS = aws_iam_user.u.arn }, Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] }] })
}
resource "aws_iam_user" "u" {
  name          = "tf-user"
  path          = "/course/"
  force_destroy = true
  tags          = { Course = "mlops" }
}
resource "aws_iam_user_policy" "u" {
  name   = "inline"
  user   = aws_iam_user.u.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["s3:ListBucket"], Resource = aws_s3_bucket.b.arn, Condition = { StringLike = { "s3:prefix" = "tmp/*" } } }] })
}
resource "aws_iam_access_key" "u" { user = aws_iam_user.u.name }
resource "aws_iam_group" "g" { name = "tf-students" }
resource "aws_iam_user_group_membership" "u" {
  user   = aws_iam_user.u.name
  groups = [aws_iam_group.g.name]
}
resource "aws_iam_policy" "p" {
  name   = "tf-policy"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:ListAllMyBuckets", Resource = "*" }, { Effect = "Deny", Action = "s3:DeleteBucket", Resource = "*" }] })
  tags   = { a = "b" }
}
resource "aws_iam_group_policy_attachment" "g" {
  group      = aws_iam_group.g.name
  policy_arn = aws_iam_policy.p.arn
}
resource "aws_iam_role" "r" {
  name                 = "tf-role"
  max_session_duration = 7200
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = aws_iam_user.u.arn } }] })
  tags                 = { a = "b" }
}
resource "aws_iam_role_policy" "r" {
  name   = "inline"
  role   = aws_iam_role.r.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "ecr:*", Resource = aws_ecr_repository.r.arn }] })
}
resource "aws_iam_role_policy_attachment" "r" {
  role       = aws_iam_role.r.name
  policy_arn = aws_iam_policy.p.arn
}
resource "aws_iam_role_policy_attachment" "aws" {
  role       = aws_iam_role.r.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
}
data "aws_eks_cluster" "lab" { name = "mlops-training-cluster" }
data "aws_ecr_authorization_token" "t" {}
resource "aws_eks_access_entry" "u" {
  cluster_name      = data.aws_eks_cluster.lab.name
  principal_arn     = aws_iam_user.u.arn
  kubernetes_groups = ["students"]
}
resource "aws_eks_access_policy_association" "u" {
  cluster_name  = data.aws_eks_cluster.lab.name
  principal_arn = aws_iam_user.u.arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
  access_scope {
    type       = "namespace"
    namespaces = ["kubeflow-user01"]
  }
  depends_on = [aws_eks_access_entry.u]
}
output "account" { value = data.aws_caller_identity.me.account_id }
