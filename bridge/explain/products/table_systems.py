"""Lists storage, backup, power, hardware and voice."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    # --- storage, backup ---
    product(
        "NetApp ONTAP",
        None,
        S(shape="netapp"),
        S(text=r"\[[\w.-]+:[\w.]+:\w+\]: ", words="[node:event:level]:"),
        S(text=r"(?:[\w.-]+: )?[\da-f]{8}\.[\da-f]{8} [\da-f]{8} \w{3} \w{3} \d\d \d{4} ", words="audit of ONTAP"),
        S(
            message_ids=(
                r"(?:wafl|raid|callhome|nblade|cf|disk|sis|vserver|secd|mgmt|kern|nfs|cifs|monitor|shelf|"
                r"ems|volume|arw)\.\w+(?:\.\w+)*"
            ),
            words="event of ONTAP as MSGID",
        ),
    ),
    product(
        "NetApp StorageGRID",
        None,
        S(text=r"\d{4}-\d\d-\d\dT[\d:.]+ \[AUDT:", words="[AUDT:"),
        S(programs="NMS|ADE", text=r"(?:\{\"MGAU\"|\|\d{8})"),
    ),
    product(
        "Dell PowerScale (Isilon)",
        None,
        S(programs="isi_*|audit_protocol|audit_config|isilon*"),
        S(text=r"(?:id|node)\d*\|.*\|SMB\|"),
        appliance=True,
    ),
    product("Dell PowerStore", None, S(programs="PowerStore*")),
    product("Dell EMC Unity, VNX", None, S(programs="EMCsystem*|Unity*|VNX*"), S(text=r"\"[\w ]+\" :: Category=")),
    product(
        "Dell Avamar, Data Domain",
        None,
        S(text=r"<Code> \d+ <Type> ", words="<Code> <Type>"),
        S(programs="amavar|avamar*|MCS", text=r"<Code> "),
        S(programs="ddfs|ddr*|ddsh"),
    ),
    product(
        "Dell iDRAC",
        None,
        S(programs="webcgi|racadm|idrac*|dcmc*"),
        S(programs="Severity", text=r"\w+, Category: [\w ]+, MessageID: ", words="Severity:, Category:, MessageID:"),
        S(text=r"Severity: \w+, Category: [\w ]+, MessageID: ", words="Severity:, Category:, MessageID:"),
        appliance=True,
    ),
    product("Dell EMC RecoverPoint, Cyber Recovery", None, S(programs="RecoverPoint*|CyberRecovery*")),
    product("Pure Storage", None, S(programs="purity.alert|purity.audit|purity*")),
    product("HPE StoreOnce, Nimble, 3PAR", None, S(programs="nimble*|3par*|storeonce*|NMBL*")),
    product(
        "Hitachi storage", None, S(text=r"(?:\d+)?,?CELFSS,", words="CELFSS,"), S(programs="Storage", text="CELFSS")
    ),
    product(
        "Synology DSM",
        None,
        S(
            shape="facility-and-level",
            programs="Connection|System|WinFileService|FileStation|Backup|DSM|WebDAV|FTP|SMB|AFP",
            words="<facility.level> and a log of DSM",
        ),
        S(programs="synocloud*|synoscgi*|WinFileService|synology*|SynoFinder"),
        S(data="synolog@"),
        S(
            programs="Connection|System|Backup|FileStation|DSM",
            text=(
                r"(?:User \[|System (?:successfully|started|counted)|Package \[|Local UPS|\[?Hyper Backup|Volume \d|"
                r"Backup task|Host \[|Server started counting)"
            ),
            words="a log of DSM and its text",
        ),
        S(text=r"(?:Connection:? )?User \[[^\]]+\] from \[[\w.:]+\] ", words="User [...] from [...]"),
        S(
            text=(
                r"(?:WinFileService|FileStation|WebDAV|FTP|SMB|AFP):? Event: \w+, Path: |"
                r"(?:System|Connection|Backup) (?:System|SYSTEM|User|Local|Server|\[)"
            ),
            words="a log of DSM and its text",
        ),
        appliance=True,
    ),
    product(
        "QNAP QTS",
        None,
        S(data="QuLog@"),
        S(programs="qulogd|qlogd"),
        S(programs="qlogd", text=r"(?:conn|event) log: Users: "),
        appliance=True,
    ),
    product(
        "TrueNAS", None, S(programs="middlewared|smartd_truenas|TNAUDIT_*|TNAUDIT*|collectd_truenas"), appliance=True
    ),
    product("Qumulo", None, S(programs="qumulo")),
    product(
        "Cohesity",
        None,
        S(programs=("cluster_audit|dataprotection_events|filer_audit|cohesity_alerts|alerts_cohesity|cohesity_*")),
        S(programs="api_audit"),
        appliance=True,
    ),
    product("Rubrik", None, S(programs="Rubrik*|rubrik*"), S(data="rubrik@|Rubrik@"), S(keys="rubrik_cluster")),
    product(
        "Veeam Backup & Replication",
        "veeam-backup",
        S(programs="Veeam_MP", text=r"\[categoryId=\d+ instanceId=\d+ ", words="[categoryId= instanceId="),
        S(programs="Veeam_MP"),
        S(text=r"\[categoryId=\d+ instanceId=\d+ ", words="[categoryId= instanceId="),
    ),
    product(
        "Veritas NetBackup",
        None,
        S(programs="NetBackup*|nbaudit|bprd|bpdbm|vnetd|nbpem|nbjm|nbemm|nbrb|bpbrm|bptm|bpcd|nbwmc"),
        S(text=r"(?:Audit )?ID:? ?\d+ .*NetBackup"),
    ),
    product(
        "Commvault",
        None,
        S(programs="CommVault*|Commvault*|CommServe*"),
        S(text=r"(?:Alerting|AuditTrail|EventFor) - ?\{|Audittrail|CommCell:"),
    ),
    # --- power, hardware, time ---
    product(
        "APC UPS",
        None,
        S(
            programs="UPS|System|EMC|AP*",
            text=(
                r"(?:On battery|No longer on battery|UPS: |Web user|Console user|Restored the|Lost the|A "
                r"discharged|Graceful|Email: )"
            ),
            words="texts of a network management card",
        ),
        S(programs="UPS", text=r"."),
    ),
    product("Eaton UPS, PDU", None, S(programs="ups-eaton|Eaton*|eaton*")),
    product("Raritan, ServerTech PDU", None, S(text=r"(?:Outlet|PDU|Sentry3)\b.*(?:outlet|PDU)")),
    product(
        "Meinberg, Spectracom time server",
        None,
        S(programs="Spectracom*|mbgntp*|meinberg*"),
        S(text=r"\[system\] Log daemon", words="log daemon of Spectracom"),
    ),
    product("Lantronix, Opengear console server", None, S(programs="portmanager|pmshell|opengear*|cli-opengear")),
    product("Lenovo XClarity", None, S(programs="XCC*|LXCA*|xClarity*"), S(text=r"FQXSP\w+")),
    product("Fujitsu iRMC", None, S(programs="iRMC*")),
    product("Supermicro BMC", None, S(programs="SMC*|BMC*|IPMI")),
    product("Ricoh printer", None, S(programs="RICOH*"), S(message_ids="RICOH_MFPLP_\\w+")),
    product(
        "HP printer", None, S(text=r"(?:HP \w+ .*printer|printer: )", programs="printer|HP*"), S(programs="printer")
    ),
    product("Xerox, Canon, Konica Minolta printer", None, S(programs="XEROX*|Xerox*|Canon*|KONICA*")),
    product("AXIS camera", None, S(programs="acap*|axis*")),
    # --- voice ---
    product(
        "Asterisk",
        None,
        S(programs="asterisk|asterisk*"),
        S(text=r"(?:NOTICE|WARNING|ERROR|VERBOSE|SECURITY)\[\d+\](?:\[C-[\da-f]+\])?: "),
    ),
    product(
        "Avaya",
        None,
        S(programs="AasSipMgr|Aas*|asm*", text=r"-?[\d:+]+ \d{4} \d+ 1 "),
        S(programs="AasSipMgr|SipAsset*|coral"),
        appliance=True,
    ),
    product(
        "AudioCodes SBC",
        None,
        S(text=r"\[S=\d+\] ?(?:\[SID=|\[BID=)", words="[S=n] [SID="),
        S(head=r"\[S=\d+\] ?(?:\[SID=|\[BID=)", words="[S=n] [SID="),
    ),
    product("Ribbon, Sonus SBC", None, S(programs="sonus*"), S(text=r"\d+ \d{8} \d{6}\.\d+:\d[\d.]*: ?\S+ +\.")),
    product("Oracle SBC (Acme Packet)", None, S(programs="acme*|sipd|mbcd|lemd|brokerd|h323d")),
    product(
        "Polycom",
        None,
        S(programs="RPRM|RPAD|Polycom*|DMA", text=r"\d+ |Jserver|\w+"),
        S(programs="RPRM", text=r"."),
        S(message_ids="Jserver"),
    ),
    product("Mitel", None, S(programs="mitel*|Mitel*")),
)
