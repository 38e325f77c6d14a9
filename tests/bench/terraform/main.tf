# A three-tier web application on ECS in plain aws_* resources: web (Fargate) -> internal balancer -> api (EC2) -> DynamoDB.
# What `make bench` measures the collection against, on the same emulator. Left out because moto lacks the tagging calls that the provider
# makes: application auto-scaling.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 6.0"
    }
  }
}

variable "endpoint" {
  description = "URL of the AWS API, for instance of a moto server"
  type        = string
}

variable "region" {
  description = "where the stack is"
  type        = string
  default     = "eu-central-1"
}

variable "images" {
  description = "image of each tier"
  type        = map(string)
  default     = { web = "demo/web:local", api = "demo/api:local" }
}

variable "wait_for_steady_state" {
  description = "whether apply waits until the services' tasks run; by default it ends when the services are accepted"
  type        = bool
  default     = false
}

provider "aws" {
  region                      = var.region
  access_key                  = "testing"
  secret_key                  = "testing"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true

  endpoints {
    autoscaling = var.endpoint
    cloudwatch  = var.endpoint
    dynamodb    = var.endpoint
    ec2         = var.endpoint
    ecr         = var.endpoint
    ecs         = var.endpoint
    elbv2       = var.endpoint
    iam         = var.endpoint
    kms         = var.endpoint
    logs        = var.endpoint
    sns         = var.endpoint
    ssm         = var.endpoint
    sts         = var.endpoint
  }

  default_tags {
    tags = { Project = local.name, ManagedBy = "terraform" }
  }
}

locals {
  name = "webapp"
  cidr = "10.0.0.0/16"
  azs  = { for i, z in ["a", "b", "c"] : "${var.region}${z}" => i }

  # the two tiers that run on ECS, and what each may do to the table
  tiers = {
    web = { port = 8080, table_actions = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"] }
    api = { port = 8080, table_actions = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"] }
  }
}

data "aws_caller_identity" "me" {}

# ---------------------------------------------------------------- network

resource "aws_vpc" "main" {
  cidr_block           = local.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = local.name }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = local.name }
}

resource "aws_subnet" "public" {
  for_each          = local.azs
  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(local.cidr, 8, each.value)
  tags              = { Name = "${local.name}-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each          = local.azs
  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(local.cidr, 4, each.value + 1)
  tags              = { Name = "${local.name}-private-${each.key}" }
}

resource "aws_eip" "nat" {
  for_each   = local.azs
  domain     = "vpc"
  tags       = { Name = "${local.name}-nat-${each.key}" }
  depends_on = [aws_internet_gateway.main]
}

resource "aws_nat_gateway" "main" {
  for_each      = local.azs
  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${local.name}-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "${local.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "public" {
  for_each       = local.azs
  route_table_id = aws_route_table.public.id
  subnet_id      = aws_subnet.public[each.key].id
}

resource "aws_route_table" "private" {
  for_each = local.azs
  vpc_id   = aws_vpc.main.id
  tags     = { Name = "${local.name}-private-${each.key}" }
}

resource "aws_route" "nat" {
  for_each               = local.azs
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main[each.key].id
}

resource "aws_route_table_association" "private" {
  for_each       = local.azs
  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

resource "aws_vpc_endpoint" "dynamodb" {
  vpc_id            = aws_vpc.main.id
  service_name      = "com.amazonaws.${var.region}.dynamodb"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for t in aws_route_table.private : t.id]
  tags              = { Name = "${local.name}-dynamodb" }
}

# ---------------------------------------------------------------- security groups, chained by group id

resource "aws_security_group" "main" {
  for_each = {
    alb-public   = "public load balancer"
    web          = "web tasks"
    alb-internal = "internal load balancer"
    api          = "api tasks"
    instances    = "ECS container instances"
  }
  name        = "${local.name}-${each.key}"
  description = each.value
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-${each.key}" }
}

locals {
  # group, port, and the other end: a group's name, or a CIDR block
  ingress = {
    internet-alb     = ["alb-public", 80, "0.0.0.0/0"]
    alb-web          = ["web", local.tiers.web.port, "alb-public"]
    web-internal-alb = ["alb-internal", 80, "web"]
    internal-alb-api = ["api", local.tiers.api.port, "alb-internal"]
  }
  egress = {
    alb-web          = ["alb-public", local.tiers.web.port, "web"]
    web-internal-alb = ["web", 80, "alb-internal"]
    web-https        = ["web", 443, "0.0.0.0/0"]
    internal-alb-api = ["alb-internal", local.tiers.api.port, "api"]
    api-https        = ["api", 443, "0.0.0.0/0"]
    instances-https  = ["instances", 443, "0.0.0.0/0"]
  }
}

resource "aws_vpc_security_group_ingress_rule" "main" {
  for_each                     = local.ingress
  security_group_id            = aws_security_group.main[each.value[0]].id
  ip_protocol                  = "tcp"
  from_port                    = each.value[1]
  to_port                      = each.value[1]
  cidr_ipv4                    = strcontains(each.value[2], "/") ? each.value[2] : null
  referenced_security_group_id = strcontains(each.value[2], "/") ? null : aws_security_group.main[each.value[2]].id
}

resource "aws_vpc_security_group_egress_rule" "main" {
  for_each                     = local.egress
  security_group_id            = aws_security_group.main[each.value[0]].id
  ip_protocol                  = "tcp"
  from_port                    = each.value[1]
  to_port                      = each.value[1]
  cidr_ipv4                    = strcontains(each.value[2], "/") ? each.value[2] : null
  referenced_security_group_id = strcontains(each.value[2], "/") ? null : aws_security_group.main[each.value[2]].id
}

# ---------------------------------------------------------------- data and images

resource "aws_dynamodb_table" "items" {
  name         = "${local.name}-items"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "list"
  range_key    = "id"

  attribute {
    name = "list"
    type = "S"
  }
  attribute {
    name = "id"
    type = "S"
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled = true
  }
}

resource "aws_ecr_repository" "app" {
  name                 = local.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "keep the last 30 images"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 30 }
      action       = { type = "expire" }
    }]
  })
}

# ---------------------------------------------------------------- load balancers

resource "aws_lb" "public" {
  name                       = "${local.name}-public"
  internal                   = false
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.main["alb-public"].id]
  subnets                    = [for s in aws_subnet.public : s.id]
  idle_timeout               = 30
  drop_invalid_header_fields = true
  enable_deletion_protection = false
  depends_on                 = [aws_route.internet]
}

resource "aws_lb" "internal" {
  name                       = "${local.name}-internal"
  internal                   = true
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.main["alb-internal"].id]
  subnets                    = [for s in aws_subnet.private : s.id]
  idle_timeout               = 30
  drop_invalid_header_fields = true
  enable_deletion_protection = false
}

resource "aws_lb_target_group" "tier" {
  for_each             = local.tiers
  name                 = "${local.name}-${each.key}"
  vpc_id               = aws_vpc.main.id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = each.value.port
  deregistration_delay = 30

  health_check {
    path                = "/healthz"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "tier" {
  for_each          = { web = aws_lb.public.arn, api = aws_lb.internal.arn }
  load_balancer_arn = each.value
  port              = 80
  protocol          = "HTTP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.tier[each.key].arn
  }
}

# ---------------------------------------------------------------- logs

resource "aws_cloudwatch_log_group" "tier" {
  for_each          = local.tiers
  name              = "/${local.name}/${each.key}"
  retention_in_days = 14
}

resource "aws_cloudwatch_log_group" "insights" {
  name              = "/aws/ecs/containerinsights/${local.name}/performance"
  retention_in_days = 14
}

# ---------------------------------------------------------------- roles

data "aws_iam_policy_document" "assume" {
  for_each = toset(["ecs-tasks", "ec2"])
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "task" {
  for_each           = local.tiers
  name               = "${local.name}-${each.key}-task"
  assume_role_policy = data.aws_iam_policy_document.assume["ecs-tasks"].json
}

resource "aws_iam_role_policy" "task" {
  for_each = local.tiers
  name     = "table"
  role     = aws_iam_role.task[each.key].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = each.value.table_actions, Resource = aws_dynamodb_table.items.arn }]
  })
}

resource "aws_iam_role" "execution" {
  for_each           = local.tiers
  name               = "${local.name}-${each.key}-execution"
  assume_role_policy = data.aws_iam_policy_document.assume["ecs-tasks"].json
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.tiers
  name     = "start"
  role     = aws_iam_role.execution[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      { Effect = "Allow", Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], Resource = aws_ecr_repository.app.arn },
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.tier[each.key].arn}:*" },
    ]
  })
}

resource "aws_iam_role" "instance" {
  name               = "${local.name}-instance"
  assume_role_policy = data.aws_iam_policy_document.assume["ec2"].json
}

resource "aws_iam_role_policy" "instance" {
  name = "container-instance"
  role = aws_iam_role.instance.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["ecs:DiscoverPollEndpoint", "ecr:GetAuthorizationToken"], Resource = "*" },
      { Effect = "Allow", Action = ["ecs:RegisterContainerInstance", "ecs:DeregisterContainerInstance", "ecs:SubmitAttachmentStateChanges", "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange"], Resource = aws_ecs_cluster.main.arn },
      { Effect = "Allow", Action = ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"], Resource = "*", Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } } },
    ]
  })
}

resource "aws_iam_instance_profile" "instance" {
  name = "${local.name}-instance"
  role = aws_iam_role.instance.name
}

resource "aws_iam_user" "readonly" {
  name = "${local.name}-readonly"
}

resource "aws_iam_user_policy" "readonly" {
  name = "read"
  user = aws_iam_user.readonly.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = [
        "autoscaling:Describe*", "cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "dynamodb:Describe*", "dynamodb:List*",
        "ec2:Describe*", "ecr:Describe*", "ecr:List*", "ecs:Describe*", "ecs:List*", "elasticloadbalancing:Describe*",
        "logs:Describe*", "logs:FilterLogEvents", "logs:GetLogEvents", "sns:Get*", "sns:List*",
      ]
      Resource = "*"
    }]
  })
}

# ---------------------------------------------------------------- instances and cluster

data "aws_ssm_parameter" "ecs_ami" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
}

resource "aws_launch_template" "ecs" {
  name                   = "${local.name}-ecs"
  image_id               = data.aws_ssm_parameter.ecs_ami.value
  instance_type          = "t3.medium"
  vpc_security_group_ids = [aws_security_group.main["instances"].id]
  user_data              = base64encode("#!/bin/bash\necho ECS_CLUSTER=${local.name} >> /etc/ecs/ecs.config\n")
  update_default_version = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  monitoring {
    enabled = true
  }
}

resource "aws_autoscaling_group" "ecs" {
  name                = "${local.name}-ecs"
  min_size            = 1
  max_size            = 4
  desired_capacity    = 2
  health_check_type   = "EC2"
  vpc_zone_identifier = [for s in aws_subnet.private : s.id]

  launch_template {
    id      = aws_launch_template.ecs.id
    version = aws_launch_template.ecs.latest_version
  }
  tag {
    key                 = "Name"
    value               = "${local.name}-ecs"
    propagate_at_launch = true
  }
  tag {
    key                 = "AmazonECSManaged"
    value               = "" # as ECS itself sets it
    propagate_at_launch = true
  }
  lifecycle {
    ignore_changes = [desired_capacity] # ECS managed scaling owns it
  }
}

resource "aws_ecs_cluster" "main" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
  depends_on = [aws_cloudwatch_log_group.insights] # else ECS makes it, without retention
}

resource "aws_ecs_capacity_provider" "ec2" {
  name = "${local.name}-ec2"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.ecs.arn
    managed_termination_protection = "DISABLED"

    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = 80
      minimum_scaling_step_size = 1
      maximum_scaling_step_size = 2
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = ["FARGATE", aws_ecs_capacity_provider.ec2.name]

  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 100
    base              = 1
  }
}

# ---------------------------------------------------------------- tasks and services

resource "aws_ecs_task_definition" "tier" {
  for_each                 = local.tiers
  family                   = "${local.name}-${each.key}"
  requires_compatibilities = [each.key == "web" ? "FARGATE" : "EC2"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = aws_iam_role.task[each.key].arn
  execution_role_arn       = aws_iam_role.execution[each.key].arn

  container_definitions = jsonencode([{
    name         = each.key
    image        = var.images[each.key]
    command      = ["gunicorn", "${each.key}:create_app()"]
    essential    = true
    portMappings = [{ containerPort = each.value.port, hostPort = each.value.port, protocol = "tcp" }]
    environment = [for name, value in merge(
      { AWS_REGION = var.region, PORT = tostring(each.value.port) },
      each.key == "web" ? { API_URL = "http://${aws_lb.internal.dns_name}", STACK_NAME = local.name } : { TABLE_NAME = aws_dynamodb_table.items.name },
    ) : { name = name, value = value }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.tier[each.key].name
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
  }])
}

resource "aws_ecs_service" "tier" {
  for_each                           = local.tiers
  name                               = each.key
  cluster                            = aws_ecs_cluster.main.id
  task_definition                    = aws_ecs_task_definition.tier[each.key].arn
  desired_count                      = 2
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  wait_for_steady_state              = var.wait_for_steady_state

  capacity_provider_strategy {
    capacity_provider = each.key == "web" ? "FARGATE" : aws_ecs_capacity_provider.ec2.name
    weight            = 1
    base              = 1
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets         = [for s in aws_subnet.private : s.id]
    security_groups = [aws_security_group.main[each.key].id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.tier[each.key].arn
    container_name   = each.key
    container_port   = each.value.port
  }
  depends_on = [aws_ecs_cluster_capacity_providers.main, aws_lb_listener.tier, aws_iam_role_policy.task, aws_iam_role_policy.execution]
}

# ---------------------------------------------------------------- notifications and alarms

# CloudWatch cannot publish to a topic under the AWS-managed key, so the topic has a key of its own
resource "aws_kms_key" "alarms" {
  description             = "${local.name} alarms"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Owner", Effect = "Allow", Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root" }, Action = "kms:*", Resource = "*" },
      { Sid = "Alarms", Effect = "Allow", Principal = { Service = "cloudwatch.amazonaws.com" }, Action = ["kms:Decrypt", "kms:GenerateDataKey*"], Resource = "*" },
    ]
  })
}

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = aws_kms_key.alarms.arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.me.account_id } }
    }]
  })
}

locals {
  # metric, statistic, comparison, threshold
  alarms = {
    "3xx-count-high"          = ["HTTPCode_Target_3XX_Count", "Sum", "GreaterThanThreshold", 25]
    "4xx-count-high"          = ["HTTPCode_Target_4XX_Count", "Sum", "GreaterThanThreshold", 25]
    "5xx-count-high"          = ["HTTPCode_Target_5XX_Count", "Sum", "GreaterThanThreshold", 25]
    "elb-5xx-count-high"      = ["HTTPCode_ELB_5XX_Count", "Sum", "GreaterThanThreshold", 25]
    "target-response-high"    = ["TargetResponseTime", "Average", "GreaterThanThreshold", 0.5]
    "cpu-utilization-high"    = ["CPUUtilization", "Average", "GreaterThanThreshold", 80]
    "cpu-utilization-low"     = ["CPUUtilization", "Average", "LessThanThreshold", 20]
    "memory-utilization-high" = ["MemoryUtilization", "Average", "GreaterThanThreshold", 80]
    "memory-utilization-low"  = ["MemoryUtilization", "Average", "LessThanThreshold", 20]
  }
}

resource "aws_cloudwatch_metric_alarm" "web" {
  for_each            = local.alarms
  alarm_name          = "${local.name}-web-${each.key}"
  namespace           = endswith(each.value[0], "Utilization") ? "AWS/ECS" : "AWS/ApplicationELB"
  metric_name         = each.value[0]
  statistic           = each.value[1]
  comparison_operator = each.value[2]
  threshold           = each.value[3]
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  dimensions = endswith(each.value[0], "Utilization") ? {
    ClusterName = aws_ecs_cluster.main.name
    ServiceName = aws_ecs_service.tier["web"].name
    } : merge(
    { LoadBalancer = aws_lb.public.arn_suffix },
    startswith(each.value[0], "HTTPCode_ELB") ? {} : { TargetGroup = aws_lb_target_group.tier["web"].arn_suffix },
  )
}

output "url" {
  value = "http://${aws_lb.public.dns_name}"
}
