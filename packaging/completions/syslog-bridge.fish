# Completes the commands, options and values of syslog-bridge in fish. The program itself knows them.

function __syslog_bridge_complete
    set -l word (commandline -ct | string collect)
    set -l lines (env COMP_WORDS=(commandline -cp | string collect) COMP_CWORD=$word \
        _SYSLOG_BRIDGE_COMPLETE=fish_complete syslog-bridge 2>/dev/null)
    for line in $lines
        set -l item (string split -m 1 , -- $line)
        switch $item[1]
            case plain
                echo -- $item[2]
            case file
                __fish_complete_path $word
            case dir
                __fish_complete_directories $word
        end
    end
end

complete -c syslog-bridge -f -a '(__syslog_bridge_complete)'
