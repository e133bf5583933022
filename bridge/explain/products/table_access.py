"""Lists bastions, secret stores and source code management."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    product(
        "WALLIX Bastion",
        "wallix-bastion",
        S(programs="wabaudit|wabauth|wabengine|rdpproxy|sshproxy|wab*|wabgui|WAB*|bastion"),
        S(
            text=(
                r"\[(?:wabaudit|sshproxy|SSH Session|RDP Session|sessionintegrity|rdpproxy|wabauth|VNC Session)\] "
                r"(?:\[\w+\] )?\w+="
            ),
            words="[wabaudit], [SSH Session]",
        ),
        appliance=True,
    ),
    product(
        "Systancia Cleanroom",
        "systancia-cleanroom",
        S(programs="cleanroom*|systancia*"),
        S(text=r"Connexion .{1,60} org:\S+, user:", words="Connexion ... org: user:"),
    ),
    product(
        "Rubycat PROVE IT",
        "rubycat-prove-it",
        S(programs="proveit", text=r"@cee: ?\{"),
        S(programs="proveit"),
        S(text=r'@cee: ?\{"(?:category|auditRecordsNumber|modificationDiff)"', words="@cee: {category"),
        S(text=r"@cee: ?\{", keys="category severity source type timestamp", words="@cee: category, severity, source"),
    ),
    product(
        "LockSelf",
        "lockself",
        S(keys="userEmail organisationName logType logMessage"),
        S(keys="logType logMessage logObject"),
        S(keys="userEmail logType logMessage"),
        S(programs="lockself|LockSelf", keys="logType"),
    ),
    product(
        "BeyondTrust Remote Support",
        None,
        S(programs="BG", text=r"\d+:\d\d:\d\d:event="),
        S(text=r"\d+:\d\d:\d\d:event=\w+;site=", words="event=;site="),
    ),
    product(
        "BeyondTrust BeyondInsight",
        None,
        S(text=r"Agent Desc: .{1,100}(?:Agent ID|Event Date): ", words="Agent Desc: Agent ID:"),
    ),
    product("Thycotic Secret Server", None, S(programs="SecretServer|Thycotic*")),
    product(
        "HashiCorp Boundary, Teleport", None, S(programs="teleport|boundary"), S(keys="cluster_name code ei event uid")
    ),
    product(
        "GitHub Enterprise",
        None,
        S(programs="github_audit|github-*|github_production|babeld|hookshot-*"),
        S(keys="actor action created_at _document_id"),
    ),
    product(
        "GitLab", None, S(programs="gitlab*|gitlab-*|gitaly"), S(keys="correlation_id controller action remote_ip")
    ),
    product("Box, Dropbox, Slack export", None, S(programs="box-events*|slack-audit*")),
)
