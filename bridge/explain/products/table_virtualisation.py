"""Lists hypervisors, their management, and containers."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    product(
        "VMware ESXi",
        "vmware-esxi",
        S(
            programs=(
                "Hostd|hostd|Vpxa|vpxa|vobd|vmkernel|vmkwarning|Fdm|fdm|hostd-probe|rhttpproxy|"
                "Rhttpproxy|vmauthd|vsanmgmtd|esxupdate|VSANMGMTSVC|vmkdevmgr|heartbeat|healthd|"
                "apiForwarder|sdrsInjector|vmkeventd|configStore|envoy-access|esxtokend|kmxa|nsx-proxy|"
                "esxgdpd|clomd|cmmdsd|epd|crx-cli|storageRM|smad|swapobjd|sfcbd|sfcb-*|localcli|"
                "watchdog-*|VMware|cimslp|vsantraced|osfsd|vdtc|ConfigStore|usbarb|lacp|nfcd|esxcli|"
                "lwsmd|netcpa|lsud|dcbd|init|backup.sh|addVob|jumpstart|DCUI|ESXShell|shell|esxi*"
            ),
            text=(
                r"\S+(?:\[\d+\])? \S+(?:\[\d+\])? \[Originator@6876|(?:info|error|warning|verbose|panic|"
                r"trivia|-->)\b"
            ),
            words="level and [Originator@6876]",
        ),
        S(
            programs=(
                "Hostd|hostd|Vpxa|vpxa|vobd|vmkernel|vmkwarning|Fdm|hostd-probe|rhttpproxy|Rhttpproxy|"
                "vmauthd|vsanmgmtd|esxupdate|vmkdevmgr|healthd|apiForwarder|sdrsInjector|vmkeventd|"
                "configStore|esxtokend|kmxa|storageRM|smad|swapobjd|sfcb-*|cimslp|osfsd|usbarb|DCUI|"
                "ESXShell|clomd|cmmdsd|envoy-access|FIREWALL-PKTLOG"
            )
        ),
        S(text=r"(?:\w+(?:\[\d+\])? )?\[Originator@6876 ", words="[Originator@6876"),
        S(programs="shell|ESXShell", text=r"\[[\w\\.@-]+\]: ", words="a command of the shell", format="-"),
        S(text=r"(?:info|warning|verbose|error) \w+\[\w+\] \[Originator@6876 ", words="[Originator@6876"),
        S(text=r"cpu\d+:\d+(?: opID=\w+)?\)", words="cpu of vmkernel"),
        appliance=True,
    ),
    product(
        "VMware vCenter Server",
        "vmware-vcenter",
        S(
            programs=(
                "vpxd|vcenter-server|vpxd-main|vpxd-profiler|vpxd-svcs|vsphere-ui|vsphere-client|"
                "applmgmt|applmgmt-audit|eam-main|vapi-endpoint|sso-*|ssoadminserver|vmware-*|vmdird|"
                "vmcad|vmafdd|vmon|rbd|sps|lookupsvc-*|analytics|content-library|perfcharts|"
                "observability|trustmanagement*|ui-*|rhttpproxy-main|cis-license|updatemgr|vum-*|"
                "StatsMonitor|vpostgres|vmware_*|vlcm"
            )
        ),
        S(text=r"Event \[\d+\] \[\d+-\d+\] \[\d{4}-\d\d-\d\dT", words="Event [n] [n-n] [time]"),
        S(programs="vpxd", text=r"Event \[\d+\] \[\d+-\d+\] \[", words="Event [n] [n-n] [time]"),
        S(programs="sudo", text=r"observability : ", words="sudo of observability"),
        appliance=True,
    ),
    product(
        "VMware NSX",
        None,
        S(data="nsx@6876"),
        S(programs="NSX|NSXV|dfwpktlogs|nsx-*"),
        S(text=r"NSX \d+ \w+ \[nsx@6876"),
        appliance=True,
    ),
    product("VMware Horizon", None, S(data="View@6876"), S(programs="View")),
    product(
        "VMware Workspace ONE (AirWatch)",
        None,
        S(text=r"AirWatch +Syslog Details are as follows"),
        S(text=r"(?:\S+ )?Event Type: Device ?Event: "),
        S(programs="AirWatch*"),
    ),
    product(
        "VMware Carbon Black App Control",
        None,
        S(text=r"Carbon Black App Control event: "),
        S(cef="Carbon Black", format="cef"),
        S(cef="CarbonBlack", format="cef"),
    ),
    product("VMware Avi, Aria", None, S(programs="vrops*|vrli*|loginsight*")),
    product(
        "Nutanix",
        None,
        S(programs="audispd", host=r"NTNX", text=r"node=ntnx|node=\S+ type="),
        S(
            programs=(
                "genesis|stargate|prism|zeus|cassandra|curator|acropolis|insights*|uhura|ergon|"
                "consolidated_audit|api_audit_v3|flow_service_logs|security_reporting"
            )
        ),
        S(host="NTNX-", programs="audispd|sshd|sudo|kernel|crond|systemd", text="."),
        appliance=True,
    ),
    product(
        "XenServer, XCP-ng",
        None,
        S(
            programs=(
                "xapi|xenopsd-xc|squeezed|xcp-rrdd|xcp-networkd|forkexecd|SM|xenstored|SMGC|xensource*|"
                "mpathalert|xapi-*"
            )
        ),
        appliance=True,
    ),
    product(
        "Proxmox VE",
        None,
        S(
            programs=(
                "pvedaemon|pveproxy|pvestatd|pve-firewall|pve-ha-lrm|pve-ha-crm|pvescheduler|pmxcfs|"
                "corosync|spiceproxy|qm|pct|vzdump"
            )
        ),
        appliance=True,
    ),
    product("Microsoft Hyper-V", None, S(programs="Microsoft-Windows-Hyper-V*")),
    product(
        "Docker",
        None,
        S(programs="dockerd|containerd|docker"),
        S(programs="docker/*|docker-*"),
        S(head=r"(?:\S+ +){3,4}[\da-f]{12}\[\d+\]: ", words="container id as program"),
        daemon=True,
    ),
    product(
        "Kubernetes",
        None,
        S(programs="kubelet|kube-apiserver|kube-controller*|kube-scheduler|kube-proxy|etcd|crio|k3s|rke2"),
        S(keys="kind=Event apiVersion=audit.k8s.io level auditID"),
        S(data="kubernetes@"),
        S(text=r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w-]+\.go:\d+\] ", words="klog: level, time, file.go:line]"),
    ),
)
