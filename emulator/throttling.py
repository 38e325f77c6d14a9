"""How many requests AWS takes: token buckets with the published sizes, for clients that should be seen to slow down.

A bucket holds so many tokens, each request takes one, and so many come back a second. A request that finds none is refused before
anything else is looked at. Buckets are kept apart by region. Moto refuses nothing. Off unless asked for (C(--throttle)): a test that makes
in a second what people make in an hour would only wait.

IAM, Auto Scaling, Application Auto Scaling and ECR's control plane publish no figures, so they are not throttled here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock

from emulator.request_log import READ
from emulator.wire import AwsError, Call


@dataclass(frozen=True)
class Size:
    """Size of a bucket: tokens that it holds, and tokens that come back in a second."""

    burst: float
    rate: float


@dataclass
class Bucket:
    """Tokens that are left."""

    size: Size
    tokens: float = field(init=False)
    counted: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.tokens = self.size.burst

    def take(self) -> bool:
        """Take one token, if there is one."""
        now = time.monotonic()
        self.tokens = min(self.size.burst, self.tokens + (now - self.counted) * self.size.rate)
        self.counted = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def each(size: Size, operations: str) -> dict[str, tuple[str, Size]]:
    """A bucket for each operation."""
    return {operation: (operation, size) for operation in operations.split()}


def shared(name: str, size: Size, operations: str) -> dict[str, tuple[str, Size]]:
    """One bucket for all these operations."""
    return {operation: (name, size) for operation in operations.split()}


# https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: a bucket for each operation.
EC2_READ, EC2_UNFILTERED, EC2_WRITE = Size(100, 20), Size(50, 10), Size(50, 5)
EC2_SMALLER_WITHOUT_FILTER = frozenset(
    "DescribeInstances DescribeInstanceStatus DescribeNetworkInterfaces DescribeSecurityGroups DescribeSnapshots"
    " DescribeSpotInstanceRequests DescribeVolumes".split()
)
EC2_OWN = (
    each(Size(4, 0.3), "CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint")
    | each(Size(5, 2), "RunInstances StartInstances")
    | each(Size(10, 1), "CreateNatGateway DeleteNatGateway AssociateNatGatewayAddress DisassociateNatGatewayAddress")
    | each(Size(100, 10), "CreateTags DeleteTags")
    | each(
        Size(100, 5),
        "AssociateIamInstanceProfile CreateLaunchTemplateVersion CreateNetworkInterface CreateVolume DeleteNetworkInterface DeleteVolume"
        " DisassociateIamInstanceProfile ModifyInstanceMetadataOptions ModifyLaunchTemplate ModifyNetworkInterfaceAttribute"
        " TerminateInstances",
    )
    | each(Size(20, 5), "DescribeSecurityGroupReferences DescribeStaleSecurityGroups")
)

# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html: a bucket for each kind of action.
ECS = (
    shared("cluster modify", Size(20, 1), "CreateCluster DeleteCluster PutClusterCapacityProviders UpdateCluster UpdateClusterSettings")
    | shared("cluster read", Size(50, 20), "DescribeClusters ListClusters")
    | shared("task definition modify", Size(20, 1), "DeregisterTaskDefinition RegisterTaskDefinition")
    | shared("task definition read", Size(50, 20), "DescribeTaskDefinition ListTaskDefinitions ListTaskDefinitionFamilies")
    | shared("task definition deletion", Size(5, 1), "DeleteTaskDefinitions")
    | shared("capacity provider modify", Size(10, 1), "CreateCapacityProvider DeleteCapacityProvider UpdateCapacityProvider")
    | shared("capacity provider read", Size(50, 20), "DescribeCapacityProviders")
    | shared("tag modify", Size(20, 10), "TagResource UntagResource")
    | shared("tag read", Size(50, 20), "ListTagsForResource")
    | shared("setting modify", Size(10, 1), "DeleteAccountSetting PutAccountSetting PutAccountSettingDefault")
    | shared("setting read", Size(50, 20), "ListAccountSettings")
    | shared(
        "cluster resource modify",
        Size(100, 40),
        "DeleteAttributes DeregisterContainerInstance ExecuteCommand PutAttributes RunTask StartTask StopTask UpdateContainerAgent"
        " UpdateContainerInstancesState",
    )
    | shared(
        "cluster resource read", Size(100, 20), "DescribeContainerInstances DescribeTasks ListAttributes ListContainerInstances ListTasks"
    )
    | shared("service modify", Size(50, 5), "CreateService DeleteService UpdateService")
    | shared("service read", Size(100, 20), "DescribeServices ListServices")
    | shared("service deployment", Size(50, 20), "DescribeServiceDeployments ListServiceDeployments")
    | shared("service revision", Size(50, 20), "DescribeServiceRevisions")
)

# https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html: by kind of action, and one bucket for all.
ELB_READ, ELB_WRITE, ELB_ALL = Size(40, 10), Size(20, 3), Size(40, 10)
ELB_OWN = shared("resource-intensive", Size(10, 0.2), "CreateLoadBalancer SetSubnets") | shared(
    "registration", Size(20, 4), "RegisterTargets DeregisterTargets"
)

OTHERS = {
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
    "cloudwatch": each(Size(3, 3), "PutMetricAlarm PutCompositeAlarm DeleteAlarms")
    | each(Size(9, 9), "DescribeAlarms DescribeAlarmsForMetric")
    | each(Size(10, 10), "PutDashboard GetDashboard ListDashboards DeleteDashboards DescribeAnomalyDetectors"),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
    "logs": each(Size(10, 10), "CreateLogGroup DeleteLogGroup DescribeLogGroups PutRetentionPolicy")
    | each(Size(25, 25), "DescribeLogStreams")
    | each(Size(50, 50), "CreateLogStream"),
    # https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html
    "kms": each(Size(5, 5), "CreateAlias CreateKey DisableKey EnableKey UntagResource UpdateAlias UpdateKeyDescription CancelKeyDeletion")
    | each(Size(15, 15), "DeleteAlias DisableKeyRotation EnableKeyRotation PutKeyPolicy ScheduleKeyDeletion")
    | each(Size(10, 10), "TagResource")
    | each(Size(100, 100), "ListGrants ListKeyPolicies"),
    # https://docs.aws.amazon.com/general/latest/gr/ssm.html
    "ssm": shared("parameters read", Size(40, 40), "GetParameter GetParameters GetParametersByPath"),
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
    "ecr": each(Size(10, 10), "PutImage") | each(Size(100, 100), "InitiateLayerUpload CompleteLayerUpload"),
}

ERRORS = {
    "cloudwatch": ("Throttling", "Rate exceeded"),
    "kms": ("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."),
}


class Throttling:
    """All buckets of the account."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._buckets: dict[tuple[str, str, str], Bucket] = {}

    def check(self, call: Call) -> None:
        """Raise the service's error where a bucket of the call is empty."""
        with self._lock:
            if all(self._bucket(call, name, size).take() for name, size in buckets_of(call)):
                return
        if call.service == "ec2":
            raise AwsError("RequestLimitExceeded", "Request limit exceeded.", status=503)
        raise AwsError(*ERRORS.get(call.service, ("ThrottlingException", "Rate exceeded")))

    def _bucket(self, call: Call, name: str, size: Size) -> Bucket:
        return self._buckets.setdefault((call.region, call.service, name), Bucket(size))


def buckets_of(call: Call) -> list[tuple[str, Size]]:
    """Names and sizes of the buckets that a call takes a token from."""
    operation = call.operation
    if call.service == "ec2":
        if operation in EC2_SMALLER_WITHOUT_FILTER and not any(key.startswith(("Filter.", "MaxResults")) for key in call.form):
            return [(f"{operation} without filter", EC2_UNFILTERED)]
        return [EC2_OWN.get(operation, (operation, EC2_READ if READ.match(operation) else EC2_WRITE))]
    if call.service == "elbv2":
        by_kind = ("read", ELB_READ) if READ.match(operation) else ("write", ELB_WRITE)
        return [ELB_OWN.get(operation, by_kind), ("all", ELB_ALL)]
    if call.service == "ecs":
        return [ECS[operation]] if operation in ECS else []
    named = OTHERS.get(call.service, {})
    return [named[operation]] if operation in named else []
