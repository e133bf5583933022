"""Lists programs of Unix hosts, and operating systems. A program's messages do not prove what the host is."""

from bridge.explain.products.expressions import SSHD
from bridge.explain.products.signature import Product, Signature, product

S = Signature


def _daemon(name: str, programs: str) -> Product:
    return product(name, None, S(programs=programs), daemon=True)


_EVENT_LOG_MODULE = "SourceModuleType=im_msvistalog|im_mseventlog|im_wseventing"
"The modules of NXLog that read the event log of Windows."

PRODUCTS: tuple[Product, ...] = (
    product(
        "OpenSSH",
        "openssh",
        S(programs="sshd|sshd-session|sshd-auth", text=SSHD, words="messages of sshd"),
        S(programs="sshd|sshd-session|sshd(pam_unix)|sshd-auth"),
        daemon=True,
    ),
    product(
        "Linux netfilter (iptables, nftables)",
        "netfilter",
        S(
            programs="kernel|kern",
            text=r"(?:\[ *\d+\.\d+\] )?[^=\n]{0,100}?\bIN=\S* OUT=\S* ",
            words="IN= OUT= of the kernel",
        ),
        S(
            text=r"(?:kernel: )?(?:\[ *\d+\.\d+\] )?[^=\n]{0,100}?\bIN=\S* OUT=\S* (?:MAC=|SRC=|PHYSIN=)",
            words="IN= OUT= MAC= SRC=",
        ),
        S(programs="ulogd", text=r"[^=\n]{0,100}?\bIN=\S* OUT="),
        daemon=True,
    ),
    _daemon("Linux kernel", "kernel|klogd"),
    _daemon("sudo", "sudo|sudoedit|doas"),
    _daemon("su", "su"),
    _daemon("polkit", "polkitd|pkexec|polkit-agent-helper-1"),
    _daemon("shadow (useradd, passwd)", "useradd|usermod|userdel|groupadd|groupdel|passwd|chage|chpasswd|gpasswd"),
    _daemon(
        "systemd",
        "systemd|systemd-logind|systemd-journald|systemd-resolved|systemd-networkd|systemd-timesyncd|systemd-udevd|systemd-sysctl|systemd-tmpfiles|systemd-modules-load|systemd-coredump|systemd-machined|systemd-sysusers|(sd-pam)|journal",
    ),
    _daemon("D-Bus", "dbus|dbus-daemon|dbus-broker|dbus-broker-launch"),
    _daemon("udev, udisks", "udevd|udisksd|multipathd|lvm|mdadm"),
    _daemon("NetworkManager", "NetworkManager|nm-dispatcher|ModemManager|wpa_supplicant"),
    _daemon("Avahi", "avahi-daemon"),
    _daemon("login, getty", "login|getty|agetty|init|gdm|gdm-password]|lightdm|gnome-session|accounts-daemon"),
    _daemon("syslog daemon", "rsyslogd|syslog-ng|syslogd|rsyslog|logger|logrotate|syslog"),
    _daemon("smartd", "smartd"),
    _daemon("mcelog", "mcelog|rasdaemon"),
    _daemon("firewalld", "firewalld|ufw"),
    _daemon("package manager", "packagekitd|snapd|yum|dnf|apt|unattended-upgrade|fwupd|rpm"),
    _daemon(
        "system services",
        "rtkit-daemon|thermald|irqbalance|tuned|setroubleshoot|dracut|sysstat|sa1|auditd|at-spi2-registryd|haveged|rngd|acpid|lvmetad|abrtd|abrt-server",
    ),
    _daemon(
        "cron",
        "cron|CRON|crond|CROND|anacron|atd|run-parts|crontab|/usr/sbin/cron|run-parts(/etc/cron.hourly)|/USR/SBIN/CRON",
    ),
    _daemon("NTP", "ntpd|ntpdate|ntp|openntpd|sntp|timesyncd"),
    _daemon("chrony", "chronyd"),
    _daemon("SNMP agent", "snmpd|snmptrapd|snmp"),
    _daemon("DHCP client", "dhclient|dhcpcd|udhcpc"),
    _daemon("PAM", "login(pam_unix)|su(pam_unix)|gdm(pam_unix)|pam_unix|passwd(pam_unix)|crond(pam_unix)"),
    _daemon("inetd", "xinetd|inetd|in.telnetd|telnetd|in.tftpd|tftpd|rlogind|rshd"),
    _daemon("FTP server", "ftpd|proftpd|vsftpd|pure-ftpd"),
    _daemon("fail2ban", "fail2ban|fail2ban.actions|fail2ban.filter|fail2ban-server|denyhosts|sshguard"),
    _daemon("Zabbix", "zabbix_agentd|zabbix_server|zabbix_proxy"),
    _daemon("Nagios, Icinga", "nagios|nrpe|icinga|icinga2|check_mk_agent|naemon"),
    _daemon("Prometheus, collectd", "collectd|telegraf|node_exporter|prometheus|alertmanager"),
    _daemon("monit", "monit"),
    _daemon("Puppet", "puppet-agent|puppet-master|puppet"),
    _daemon("Chef, Salt", "chef-client|salt-minion|salt-master"),
    _daemon("Ansible", "ansible*"),
    _daemon("virtual machine agent", "vmtoolsd|qemu-ga|cloud-init|amazon-ssm-agent|waagent|google_guest_agent"),
    _daemon("Samba", "smbd|nmbd|winbindd|smbd_audit|samba"),
    _daemon("NFS, RPC", "rpc.statd|rpc.mountd|rpcbind|nfsd|automount|mountd|statd"),
    _daemon("dropbear", "dropbear"),
    _daemon("CUPS", "cupsd|cups-browsed"),
    _daemon("OpenVAS", "gvmd|ospd-openvas|openvasd"),
    _daemon("FRR, Quagga, BIRD", "zebra|bgpd|ospfd|bird|bird6|watchfrr|frr|staticd|ldpd|pimd|isisd|ripd|quagga"),
    _daemon("keepalived", "keepalived|Keepalived_vrrp|Keepalived|vrrpd"),
    _daemon("radvd", "radvd"),
    _daemon("pppd", "pppd|xl2tpd"),
    _daemon("hostapd", "hostapd"),
    _daemon("libvirt", "libvirtd|virtqemud|qemu-system-x86_64"),
    _daemon("Pacemaker", "pacemakerd|crmd|pengine|stonith-ng|corosync-notifyd"),
    product(
        "Linux audit",
        None,
        S(
            programs="audispd|audit|auditd|audisp-remote|audisp-syslog",
            text=r"(?:node=\S+ )?type=[A-Z_]+ (?:msg=)?audit\(\d+\.\d+:\d+\):",
            words="type= msg=audit(",
        ),
        S(text=r"(?:node=\S+ )?type=[A-Z_]+ (?:msg=)?audit\(\d{10}\.\d+:\d+\):", words="type= msg=audit("),
        S(programs="audispd|tag_audit_log", text=r"(?:node=\S+ )?type="),
        daemon=True,
    ),
    product(
        "IBM AIX audit",
        "ibm-aix",
        S(
            programs="audit|auditpr|aixaudit*",
            text=r"[A-Z]\w+_\w+(?:\s+\S+){1,3}\s+(?:OK|FAIL)\w*\s",
            words="audit event, users, OK",
        ),
        S(text=r"[A-Z]\w+_\w+\s+\S+\s+\S+\s+\S+\s+(?:OK|FAIL)\w*\s+\d+ \w+ \d{4} ", words="audit event, users, OK"),
        # The columns of auditpr without options.
        S(
            text=r"[A-Z]\w+_\w+\s+\S+\s+(?:OK|FAIL)\w*\s+\w{3} \w{3} +\d+ [\d:]{8} \d{4} ",
            words="audit event, user, OK",
        ),
    ),
    product("IBM AIX", None, S(shape="aix-forwarded", factor=2.5, words="Message forwarded from"), appliance=True),
    product(
        "Solaris",
        None,
        S(text=r"\[ID \d{1,6} \w+\.\w+\] ", words="[ID number facility.level]", factor=1.3),
        S(
            programs=(
                "su|sshd|genunix|cron|nfs|unix|inetd|login|sendmail|ufs|zfs|fmd|mac|ip|scsi|pseudo|"
                "rpcbind|svc.startd|syslogd|snmpd|ntpd|last"
            ),
            text=r"\[ID \d{1,6} \w+\.\w+\] ",
            words="[ID number facility.level]",
        ),
        appliance=True,
    ),
    product(
        "macOS",
        None,
        S(shape="macos", factor=0.65),
        S(
            programs=(
                "com.apple.*|WindowServer|loginwindow|kernel[0]|mDNSResponder|UserEventAgent|sandboxd|"
                "corecaptured|Safari|networkd|configd|cloudd|QuickLookSatellite|secd|symptomsd|locationd|"
                "syspolicyd|xpcproxy|identityservicesd|CommCenter|SpringBoard|Finder|Dock|locationd|"
                "GoogleSoftwareUpdateAgent|sharingd|com.apple.xpc.launchd|com.apple.cts|"
                "AddressBookSourceSync|CalendarAgent|hidd|blued|airportd|opendirectoryd|"
                "UserNotificationCenter|WeChat|QQ|garcon|Preview"
            )
        ),
        appliance=True,
    ),
    product("FreeBSD", None, S(programs="devd|savecore|newsyslog|kernel.boot"), daemon=True),
    # --- Windows ---
    product(
        "Windows events (NXLog)",
        "windows",
        S(keys="EventTime Hostname EventID SourceName"),
        S(keys="EventTime Hostname EventID"),
        S(keys="EventTime Hostname SourceModuleType=im_msvistalog"),
        S(keys="EventTime Hostname Keywords EventType"),
        S(keys=f"EventTime Hostname EventReceivedTime {_EVENT_LOG_MODULE}"),
        S(data="NXLOG@14506", format="-"),
        S(data="NXLOG@14506", keys="EventTime"),
        S(keys=f"SourceModuleName {_EVENT_LOG_MODULE} EventReceivedTime Hostname", text=r"\{"),
    ),
    # Files, programs and sockets that NXLog reads have the same keys.
    product(
        "NXLog, not Windows events",
        None,
        S(
            keys=(
                "SourceModuleName SourceModuleType=im_file|im_tcp|im_ssl|im_udp|im_uds|im_exec|im_odbc|im_python|"
                "im_perl|im_systemd|im_kernel|im_linuxaudit|im_internal|im_fim EventReceivedTime"
            )
        ),
    ),
    product(
        "Windows events (Log Insight agent)",
        "windows-log-insight",
        S(
            programs="Microsoft-Windows-*|Service Control Manager|EventLog|MSSQLSERVER",
            text=r"[^:={]{1,200}\.(?:\r\n|#015#012|\n|\r)",
            words="Windows event texts with line ends",
        ),
        S(text=r"[^:={]{1,200}\.#015#012", words="Windows event texts with #015#012"),
        S(text=r"[^{]{1,300}\(utilisateur=", words="(utilisateur="),
    ),
    product(
        "Windows events (Snare)",
        None,
        S(shape="snare"),
        S(shape="snare-alone"),
        S(text=r"MSWinEventLog\t", words="MSWinEventLog"),
    ),
    product("Windows events (Winlogbeat)", None, S(keys="winlog @timestamp")),
    product(
        "Windows events as text",
        None,
        S(programs=("Microsoft-Windows-*|Microsoft_Windows_*|Security-Auditing|EvntSLog|Service_Control_Manager")),
        S(text=r"EvntSLog: ?"),
        S(programs="AgentDevice=*"),
        S(text=r"<\d+>?\w+ \d+ .*AgentDevice=WindowsLog"),
        S(text=r"AgentDevice=WindowsLog", words="AgentDevice=WindowsLog"),
    ),
    product(
        "Windows DHCP server",
        None,
        S(
            text=r"\d\d,\d\d/\d\d/\d\d,\d\d:\d\d:\d\d,(?:Renew|Assign|Release|DNS Update)",
            words="CSV of the DHCP server",
        ),
    ),
    product(
        "Windows DNS server",
        None,
        S(text=r"\d+/\d+/\d{4} [\d:]+ (?:AM |PM )?[\dA-F]{4} PACKET ", words="debug log of the DNS server"),
    ),
)
