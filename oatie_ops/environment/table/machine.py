"""Virtual machines of the clouds, by what their firmware says (DMI) or their metadata service answered.

A container sees the DMI of its host: then it tells the provider, and not the platform.
"""

from __future__ import annotations

from oatie_ops.environment.conditions import (
    any_of,
    dmi,
    dmi_contains,
    dmi_starts,
    exists,
    fact,
    file_contains,
    file_starts,
)
from oatie_ops.environment.facts import Facts
from oatie_ops.environment.layers import Signal
from oatie_ops.environment.signals import from_dmi, from_metadata, proof

AZURE_CHASSIS = "7783-7084-3265-9085-8269-3286-77"


def _ec2_uuid(facts: Facts) -> bool:
    """A uuid of EC2; some firmware swaps the bytes of its first group (DSP0134)."""
    uuid, serial = facts.dmi("product_uuid").lower(), facts.dmi("product_serial").lower()
    if uuid[:3] == "ec2":
        return not serial or serial == uuid
    return uuid[4:5] == "2" and uuid[6:8] == "ec"


def _board_instance_id(facts: Facts) -> str:
    tag = facts.dmi("board_asset_tag")
    return tag if tag.startswith("i-") else ""


def _nitro_type(facts: Facts) -> str:
    name = facts.dmi("product_name")
    return name if "." in name and facts.dmi("sys_vendor").startswith("Amazon") else ""


def _probed(provider: str) -> Signal:
    platform = {"aws": "aws-ec2", "gcp": "gcp-gce", "azure": "azure-vm"}[provider]
    keys = ("region", "zone", "project", "instance_id", "instance_type", "resource_group", "name")
    return proof(
        f"machine.{provider}-metadata",
        fact(f"{provider}'s metadata service answered", lambda facts: provider in facts.metadata),
        provider=provider,
        platform=platform,
        identity=tuple((key, from_metadata(provider, key)) for key in keys),
    )


_AWS_IDENTITY = (("instance_id", _board_instance_id), ("instance_type", _nitro_type))

SIGNALS: tuple[Signal, ...] = (
    proof(
        "machine.aws",
        any_of(
            dmi("sys_vendor", "Amazon EC2"),
            dmi("board_vendor", "Amazon EC2"),
            dmi("bios_vendor", "Amazon EC2"),
            dmi_contains("bios_version", "amazon"),
            dmi_contains("product_version", "amazon"),
        ),
        provider="aws",
        platform="aws-ec2",
        identity=_AWS_IDENTITY,
    ),
    proof(
        "machine.aws-xen",
        file_starts("/sys/hypervisor/uuid", "ec2"),
        provider="aws",
        platform="aws-ec2",
        identity=_AWS_IDENTITY,
    ),
    proof(
        "machine.aws-uuid",
        fact("DMI product_uuid starts with ec2, in either byte order", _ec2_uuid),
        provider="aws",
        platform="aws-ec2",
        identity=_AWS_IDENTITY,
    ),
    # The vendor "Google" alone is a Chromebook.
    proof(
        "machine.gcp",
        any_of(dmi("product_name", "Google Compute Engine"), dmi_starts("product_serial", "GoogleCloud-")),
        provider="gcp",
        platform="gcp-gce",
    ),
    # The vendor "Microsoft Corporation" alone is Hyper-V or a Surface.
    proof("machine.azure", dmi("chassis_asset_tag", AZURE_CHASSIS), provider="azure", platform="azure-vm"),
    proof(
        "machine.digitalocean",
        dmi("sys_vendor", "DigitalOcean"),
        provider="digitalocean",
        platform="digitalocean-vm",
        identity=(("instance_id", from_dmi("product_serial")),),
    ),
    proof(
        "machine.hetzner",
        dmi("sys_vendor", "Hetzner"),
        provider="hetzner",
        platform="hetzner-vm",
        identity=(("instance_id", from_dmi("product_serial")),),
    ),
    # VirtualBox says "Oracle Corporation" too; only the cloud has this tag.
    proof(
        "machine.oracle", dmi("chassis_asset_tag", "OracleCloud.com"), provider="oracle", platform="oracle-vm"
    ),
    proof(
        "machine.alibaba",
        any_of(dmi("product_name", "Alibaba Cloud ECS"), dmi("sys_vendor", "Alibaba Cloud")),
        provider="alibaba",
        platform="alibaba-vm",
    ),
    proof(
        "machine.akamai",
        any_of(dmi_starts("sys_vendor", "Akamai"), dmi("sys_vendor", "Linode")),
        provider="akamai",
        platform="akamai-vm",
    ),
    proof(
        "machine.vultr",
        any_of(dmi("sys_vendor", "Vultr"), exists("/etc/vultr"), file_contains("/proc/cmdline", " vultr")),
        provider="vultr",
        platform="vultr-vm",
    ),
    proof(
        "machine.scaleway",
        any_of(
            dmi("sys_vendor", "Scaleway"),
            exists("/var/run/scaleway"),
            file_contains("/proc/cmdline", " scaleway"),
        ),
        provider="scaleway",
        platform="scaleway-vm",
    ),
    proof("machine.upcloud", dmi("sys_vendor", "UpCloud"), provider="upcloud", platform="upcloud-vm"),
    proof(
        "machine.exoscale",
        dmi_starts("product_name", "Exoscale"),
        provider="exoscale",
        platform="exoscale-vm",
    ),
    proof(
        "machine.tencent",
        any_of(dmi("sys_vendor", "Tencent Cloud"), dmi("product_name", "CVM")),
        provider="tencent",
        platform="tencent-vm",
    ),
    proof("machine.yandex", dmi("sys_vendor", "Yandex"), provider="yandex", platform="yandex-vm"),
    proof("machine.outscale", dmi("sys_vendor", "3DS Outscale"), provider="outscale", platform="outscale-vm"),
    proof("machine.nwcs", dmi("sys_vendor", "NWCS"), provider="nwcs", platform="nwcs-vm"),
    proof(
        "machine.cloudsigma",
        dmi("product_name", "CloudSigma"),
        provider="cloudsigma",
        platform="cloudsigma-vm",
    ),
    proof("machine.e24cloud", dmi("sys_vendor", "e24cloud"), provider="e24cloud", platform="e24cloud-vm"),
    proof("machine.huawei", dmi("chassis_asset_tag", "HUAWEICLOUD"), provider="huawei", platform="huawei-vm"),
    proof(
        "machine.open-telekom",
        dmi("chassis_asset_tag", "OpenTelekomCloud"),
        provider="open-telekom",
        platform="open-telekom-vm",
    ),
    proof("machine.smartos", dmi_starts("product_name", "SmartDC"), provider="triton", platform="triton-vm"),
    proof(
        "machine.openstack",
        any_of(
            dmi("product_name", "OpenStack Nova"),
            dmi("product_name", "OpenStack Compute"),
            dmi("chassis_asset_tag", "OpenStack Nova"),
            dmi("chassis_asset_tag", "OpenStack Compute"),
        ),
        provider="openstack",
        platform="openstack-vm",
    ),
    _probed("aws"),
    _probed("gcp"),
    _probed("azure"),
)
