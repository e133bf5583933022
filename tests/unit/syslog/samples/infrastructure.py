"""Defines samples of network devices, storage and facilities that other modules do not have."""

from tests.unit.syslog.samples import sample

_T = "2026-11-23T07:24:00"
_5424 = {"shape": "rfc5424", "format": "rfc5424"}

SAMPLES = [
    # --- switches, routers, wireless ---
    sample("Extreme EXOS", "<134>Nov 23 07:24:00 exos-6 Slot-1: ¦<Info:vlan.msgs.portLinkStateUp> Port 1:12 link UP at speed 1 Gbps",
           "exos-6", "Slot-1"),
    sample("Ruckus SmartZone", '<134>Nov 23 07:24:00 sz-6 ¦@@203,clientDisconnect,"apMac"="02:00:5e:00:44:06","clientIP"="192.0.2.31"', "sz-6"),
    sample("Alcatel OmniSwitch", "<134>Nov 23 07:24:00 os-6 swlogd: ¦portMgrCmm main INFO: Port 1/1/9 link down", "os-6", "swlogd"),
    sample("Nokia SR OS", '<188>Nov 23 07:24:00 192.0.2.96 TMNX: ¦411 Base USER-MINOR-cli_user_login-2001 [oper]:  User oper from 192.0.2.31 logged in',
           "192.0.2.96", "TMNX"),
    sample("Allied Telesis", "<189>Nov 23 07:24:00 at-6 NSM[771]: ¦Port port1.0.9 changed state to down", "at-6", "NSM", "771"),
    sample("Zyxel USG", '<134>Nov 23 07:24:00 usg-6 ¦src="192.0.2.31:5050" dst="198.51.100.9:53" msg="DNS query" note="ACCESS FORWARD"', "usg-6"),
    sample("DrayTek Vigor", "<150>Nov 23 07:24:00 DrayTek: ¦Local User: 192.0.2.31 DNS -> 192.0.2.53 inquire example.org", app="DrayTek"),
    sample("Peplink", "<134>Nov 23 07:24:00 peplink-6 Allowed: ¦CONN=lan SRC=192.0.2.31 DST=198.51.100.9 PROTO=TCP DPT=443", "peplink-6", "Allowed"),
    sample("Cradlepoint", "<14>Nov 23 07:24:00 cp-6 wan: ¦ethernet-wan connected", "cp-6", "wan"),
    sample("Teltonika RutOS", "<29>Nov 23 07:24:00 rut-6 netifd: ¦Interface 'wan' is now up", "rut-6", "netifd"),
    sample("OpenWrt", "<30>Nov 23 07:24:00 wrt-6 hostapd: ¦phy0-ap0: STA 02:00:5e:00:44:31 IEEE 802.11: authenticated", "wrt-6", "hostapd"),
    sample("VyOS", "<188>Nov 23 07:24:00 vyos-6 kernel: ¦[ipv4-FWD-filter-10-A]IN=eth0 OUT=eth1 SRC=192.0.2.31 DST=198.51.100.9", "vyos-6", "kernel"),
    sample("Cumulus Linux", "<27>2026-11-23T07:24:00.417+00:00 leaf-6 switchd[811]: ¦hal_bcm_l2.c:811 port swp9 down", "leaf-6", "switchd", "811",
           time=_T + ".417Z"),
    sample("Riverbed SteelHead", "<30>Nov 23 07:24:00 sh-6 sport[8118]: ¦[splice/oob.NOTICE] 1 {- -} connected to peer 192.0.2.97", "sh-6", "sport", "8118"),
    sample("Silver Peak", "<134>Nov 23 07:24:00 sp-6 sysd[411]: ¦Tunnel to_hub_1 is up", "sp-6", "sysd", "411"),
    sample("A10 Thunder", "<134>Nov 23 07:24:00 adc-6 a10logd: ¦[ACOS]<6> SLB server web-6 port 443 is up", "adc-6", "a10logd"),
    sample("Radware DefensePro", '<129>DefensePro: ¦23-11-2026 07:24:00 WARNING 411 Anti-Scanning "TCP scan" TCP 198.51.100.31',
           app="DefensePro", time=None, shape="tag-alone"),
    sample("Kemp LoadMaster", "<30>Nov 23 07:24:00 lm-6 l4d: ¦RS 192.0.2.80:443 of VS 192.0.2.8:443 is up", "lm-6", "l4d"),
    sample("Barracuda WAF", "<129>2026-11-23 07:24:00.417 +0000 waf-6 ¦WF ALER SQL_INJECTION 198.51.100.31 5050 rule GLOBAL LOG", "waf-6",
           time=_T + ".417Z"),
    # --- storage, servers, hypervisors ---
    sample("Pure Storage", "<134>Nov 23 07:24:00 pure-6 purity.alert: ¦info alert: array pure-6 capacity is 80% full", "pure-6", "purity.alert"),
    sample("Dell PowerStore", '<134>1 2026-11-23T07:24:00.417Z ps-6 PowerStore_audit_event 411 - - ¦User oper logged in from 192.0.2.31',
           "ps-6", "PowerStore_audit_event", "411", time=_T + ".417Z", **_5424),
    sample("Dell Isilon", "<134>Nov 23 07:24:00 isi-6 audit_protocol[811]: ¦S-1-5-21-1|4|SMB|CREATE|SUCCESS|192.0.2.31|/ifs/data", "isi-6",
           "audit_protocol", "811"),
    sample("Brocade FOS", "<134>Nov 23 07:24:00 fos-6 raslogd: ¦2026/11/23-07:24:00, [SEC-1203], 411,, INFO, fos-6, Login information: oper", "fos-6", "raslogd"),
    sample("TrueNAS", '<30>1 2026-11-23T07:24:00.417123+00:00 tn-6 smartd 811 - - ¦Device: /dev/da4, SMART usage: 31', "tn-6", "smartd", "811",
           time=_T + ".417123Z", **_5424),
    sample("Supermicro BMC", "<133>Nov 23 07:24:00 bmc-6 IPMI: ¦Power Supply 2: Power Supply input lost", "bmc-6", "IPMI"),
    sample("Lenovo XClarity", "<29>Nov 23 07:24:00 xcc-6 XCC: ¦Login ID: oper from web at IP address 192.0.2.31", "xcc-6", "XCC"),
    sample("HPE OneView", "<134>1 2026-11-23T07:24:00.417Z ov-6 ci-audit - - - ¦oper LOGIN SUCCESS appliance", "ov-6", "ci-audit", time=_T + ".417Z", **_5424),
    sample("Veritas NetBackup", "<134>Nov 23 07:24:00 nbu-6 nbpem[411]: ¦job 4711 completed with status 0", "nbu-6", "nbpem", "411"),
    # --- facilities, telephony, printers ---
    sample("Eaton UPS", "<132>Nov 23 07:24:00 ups-6 eaton: ¦Communication lost with UPS", "ups-6", "eaton"),
    sample("Raritan PDU", "<134>Nov 23 07:24:00 pdu-6 PX: ¦Outlet 4 of PDU 1 was switched off by oper", "pdu-6", "PX"),
    sample("Axis camera", "<30>Nov 23 07:24:00 cam-6 event: ¦motion detected in zone 4", "cam-6", "event"),
    sample("AudioCodes SBC", "<133>¦[S=411] [SID=a1:12:34] (N 4117)  ( lgr_flow)(417) SIP call",
           time=None, shape="none", format="none"),
    sample("HP LaserJet", "<134>Nov 23 07:24:00 printer-6 printer: ¦toner low", "printer-6", "printer"),
    sample("Moxa EDS", "<132>Nov 23 07:24:00 moxa-6 Port4: ¦link off", "moxa-6", "Port4"),
    # --- behind a relay that does not know their header ---
    sample("Cisco IOS by a relay", "<189>Nov 23 07:24:03 relay-6 4711: sw-6: Nov 23 07:24:00.417: ¦%LINK-3-UPDOWN: Interface Vlan6, changed state to up",
           "sw-6", "%LINK-3-UPDOWN", time=_T + ".417Z", shape="cisco-relayed"),
    sample("Cisco Meraki MX", "<134>Nov 23 07:24:03 192.0.2.6 1 1795418640.417000000 mx_6 ¦flows src=192.0.2.31 dst=198.51.100.9 protocol=udp",
           "mx_6", time=_T + ".417Z", shape="meraki", intake="meraki",
           event="1795418640.417000000 mx_6 flows src=192.0.2.31 dst=198.51.100.9 protocol=udp"),
    sample("Juniper SRX", '<14>Nov 23 07:24:03 relay-6 1 2026-11-23T07:24:00.417Z srx-6 RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1 a="b"] ¦created',
           "srx-6", "RT_FLOW", msgid="RT_FLOW_SESSION_CREATE", time=_T + ".417Z", shape="rfc5424-relayed", format="rfc5424"),
    # --- rare times ---
    sample("Huawei VRP", "<189>Nov 23 2026 08:24:00.417.1+01:00 hw-6 ¦%%01SHELL/5/CMDRECORD(s)[41]:Recorded command information.",
           "hw-6", "%%01SHELL/5/CMDRECORD", time=_T + ".417Z", shape="comware"),
    sample("HPE Comware", "<190>Nov 23 07:24:00:417 2026 core-6 ¦%%10SHELL/6/SHELL_CMD: Command is display version",
           "core-6", "%%10SHELL/6/SHELL_CMD", time=_T + ".417Z", shape="comware"),
    sample("WatchGuard", '<142>Nov 23 07:24:00 fb-6 80D40A7700112 http-proxy[91]: ¦msg_id="1AFF-0024" Allow 1-Trusted', "fb-6", "http-proxy", "91",
           shape="watchguard"),
    sample("Siemens SCALANCE", "<133>Nov 23 07:24:00 scalance-6 WBM: ¦User oper has logged in from 192.0.2.31.", "scalance-6", "WBM"),
]  # fmt: skip
