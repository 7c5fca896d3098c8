#!/usr/bin/env bash
# Makes testdata/logs again, with the real daemons of Debian's packages.
#
#   testdata/make.sh [nginx|apache|rotated|bind|dnsmasq|unbound|syslog|malformed]...      (root on Debian; all without a word)
#
# What the daemons write is kept as it is: no line is edited or invented. testdata/daemons holds their
# configurations and the scripts that talk to them; testdata/README.md tells what each file is.
#
#   make.sh ──► apt-get install                              (services are kept from starting)
#      └─ unshare: mount, pid, uts, network, ipc namespaces
#            ├─ /etc: a private copy; /dev, /run, /var/log, /var/www: private and empty
#            ├─ lo: the only interface, with client addresses of the documentation ranges; host name web1
#            ├─ daemons, started here with the configurations of testdata/daemons
#            ├─ requests ──► logs in /var/log
#            └─ copy ──► testdata/logs
#
# So nothing of the system's services, configuration or logs is touched, no packet leaves the machine, and when the
# script ends, well or not, the kernel ends every process of the namespace with it. Only packages stay installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
daemons=$here/daemons
all=(nginx apache rotated bind dnsmasq unbound syslog malformed)
packages=(nginx-light apache2 apache2-utils php-fpm fcgiwrap curl openssl bind9 bind9-dnsutils dnsmasq-base unbound rsyslog
    openssh-server openssh-client sshpass sudo faketime logrotate dos2unix bsdutils iproute2 libc-bin python3 tzdata xz-utils zstd bzip2)

fail() { echo "make.sh: $*" >&2; exit 1; }

# ------------------------------------------------------------------------------------------------ outside

install_packages() {
    local missing=() p policy=/usr/sbin/policy-rc.d
    for p in "${packages[@]}"; do
        [[ $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) == "install ok installed" ]] || missing+=("$p")
    done
    ((${#missing[@]})) || return 0
    # Debian starts a service when its package is installed, unless this file says no.
    if [[ ! -e $policy ]]; then
        trap 'rm -f /usr/sbin/policy-rc.d; rm -rf "$tmp"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
}

if [[ ${1-} != --inside ]]; then
    [[ $EUID == 0 ]] || fail "root is needed, for namespaces and apt-get"
    for word; do [[ " ${all[*]} " == *" $word "* ]] || fail "unknown part \`$word\`; the parts are: ${all[*]}"; done
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    install_packages
    (($#)) || set -- "${all[@]}"
    TZ=UTC LC_ALL=C.UTF-8 unshare --mount --uts --net --ipc --pid --fork --kill-child --mount-proc --propagation private \
        bash "$here/${BASH_SOURCE[0]##*/}" --inside "$tmp" "$@"
    exit
fi

# ------------------------------------------------------------------------------------------------- inside

# Daemons write their working directory into their logs.
cd /
tmp=$2
shift 2
parts=("$@")
logs=$here/logs
clients=(203.0.113.{1,5,42,199}/32 198.51.100.{7,23,88}/32 2001:db8::1/128 2001:db8:0:7::bad:cafe/128)
pids=()
trap 'for p in "${pids[@]}"; do kill "$p" 2>/dev/null || :; done' EXIT

# Starts a daemon that stays in the foreground; its own chatter goes to a file that is shown if it dies. Each has a session
# of its own, as Apache ends its whole process group when it stops.
start() {
    local name=$1
    shift
    setsid "$@" >"$tmp/$name.out" 2>&1 &
    pids+=($!)
    pid_of[$name]=$!
    sleep 0.7
    kill -0 "${pid_of[$name]}" 2>/dev/null || { cat "$tmp/$name.out" >&2; fail "$name did not start"; }
}
declare -A pid_of

stop() {
    local name=$1
    kill -"${2-TERM}" "${pid_of[$name]}"
    wait "${pid_of[$name]}" || :
}

# Takes what a daemon wrote: keep FOLDER FILE...
keep() {
    local to=$logs/$1
    shift
    rm -rf "$to"
    mkdir -p "$to"
    cp -- "$@" "$to/"
}

private_system() {
    local each
    hostname web1
    # Small pids look like no machine's; a kernel without this knob keeps them small.
    echo 20417 2>/dev/null >/proc/sys/kernel/ns_last_pid || :

    mkdir "$tmp/fs"
    mount -t tmpfs -o mode=755 private "$tmp/fs"
    cp -a /etc "$tmp/fs/etc"
    mount --bind "$tmp/fs/etc" /etc
    # A /dev of our own: the system's would show our /dev/log to everyone.
    mkdir "$tmp/fs/dev"
    for each in null zero full random urandom tty; do
        touch "$tmp/fs/dev/$each"
        mount --bind "/dev/$each" "$tmp/fs/dev/$each"
    done
    mkdir "$tmp/fs/dev/"{pts,shm}
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 private "$tmp/fs/dev/pts"
    ln -s pts/ptmx "$tmp/fs/dev/ptmx"
    ln -s /proc/self/fd "$tmp/fs/dev/fd"
    ln -s fd/0 "$tmp/fs/dev/stdin"
    ln -s fd/1 "$tmp/fs/dev/stdout"
    ln -s fd/2 "$tmp/fs/dev/stderr"
    chmod 1777 "$tmp/fs/dev/shm"
    mount --rbind "$tmp/fs/dev" /dev
    for each in /run /var/log /var/www; do mount -t tmpfs -o mode=755 private "$each"; done

    ip link set lo up
    for each in "${clients[@]}"; do
        if [[ $each == *:* ]]; then ip address add "$each" dev lo nodad; else ip address add "$each" dev lo; fi
    done
    echo web1 >/etc/hostname
    cat >/etc/hosts <<'HOSTS'
127.0.0.1 localhost
::1 localhost ip6-localhost
127.0.1.1 web1
203.0.113.5 visitor-5.isp.example
203.0.113.42 crawl-42.bot.example
198.51.100.7 gateway.office.example
2001:db8::1 host-1.v6.example
HOSTS
    echo 'nameserver 127.0.0.1' >/etc/resolv.conf
}

# What both web servers serve, and what stands behind them.
web_is_up=no
web_site() {
    [[ $web_is_up == no ]] || return 0
    web_is_up=yes
    local html=/var/www/html php
    mkdir -p "$html"/{static,dir,private,forbidden,locked} /var/www/app
    install -d -o www-data /run/web
    cp -r "$daemons/web/html/." "$html/"
    cp -r "$daemons/web/cgi-bin" /var/www/
    echo '<html><h1>It works</h1></html>' | tee "$html/index.html" "$html/private/index.html" "$html/forbidden/plan.html" \
        "$html/login.html" "$html/search.html" /var/www/app/index.html >/dev/null
    echo '<html><h1>Nothing here</h1></html>' >"$html/404.html"
    echo 'body { color: black }' >"$html/static/style.css"
    echo 'console.log("hello");' >"$html/static/app.js"
    head -c 4096 /dev/zero >"$html/static/data.bin"
    echo secret >"$html/secret.txt"
    echo 'Options -Indexes' >"$html/.htaccess"
    echo locked >"$html/locked/file.txt"
    chmod 000 "$html/secret.txt" "$html/locked"
    touch -d '2026-01-02 03:04:05' "$html"/*.html "$html"/static/*
    htpasswd -bcm /run/web/htpasswd alice secret 2>/dev/null
    htpasswd -bm /run/web/htpasswd 'jane doe' secret 2>/dev/null
    htpasswd -bm /run/web/htpasswd 'o"neil' secret 2>/dev/null
    # A certificate for one run; its key never leaves the namespace.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=www.example.com \
        -keyout /run/web/key.pem -out /run/web/cert.pem 2>/dev/null
    start backend /usr/bin/python3 "$daemons/web/backend.py"
    php=$(compgen -c php-fpm | sort | tail -n 1)
    start php-fpm "$php" --nodaemonize --fpm-config "$daemons/web/php-fpm.conf"
    start fcgiwrap setpriv --reuid=www-data --regid=www-data --clear-groups fcgiwrap -f -c 2 -s unix:/run/web/fcgiwrap.sock
}

web_requests() { /usr/bin/python3 "$daemons/web/web-requests.py" "$@"; }

make_nginx() {
    web_site
    cp "$daemons/nginx/"*.conf /etc/nginx/
    mkdir -p /var/log/nginx
    rm /etc/nginx/error_log_info.conf
    start nginx nginx -c /etc/nginx/nginx.conf
    # Only now, and by a reload: at its very start nginx would note the name of this machine's kernel.
    cp "$daemons/nginx/error_log_info.conf" /etc/nginx/
    kill -HUP "${pid_of[nginx]}"
    sleep 1
    web_requests 8080 visit 60
    web_requests 8080 status
    web_requests 8080 attack
    curl -sk --http2 -o /dev/null -o /dev/null -A 'curl' --resolve www.example.com:8443:127.0.0.1 https://www.example.com:8443/ https://www.example.com:8443/missing.html
    curl -sk --http1.1 -o /dev/null --resolve www.example.com:8443:127.0.0.1 https://www.example.com:8443/index.html
    web_requests 8443 visit 1              # plain HTTP to the TLS port
    curl -s -o /dev/null --interface 203.0.113.5 https://127.0.0.1:8443/ || :      # does not trust the certificate
    stop nginx QUIT
    keep nginx /var/log/nginx/*.log

    # The same few requests in the zone of a server in India.
    mkdir -p /var/log/rotated
    TZ=Asia/Kolkata start nginx-india nginx -c /etc/nginx/plain.conf
    web_requests 8090 repeat 25
    stop nginx-india QUIT
    cp /var/log/rotated/access.log "$logs/nginx/combined_kolkata.log"
    rm /var/log/rotated/*
}

make_apache() {
    web_site
    cp "$daemons/apache2/"*.conf /etc/apache2/
    mkdir -p /var/log/apache2 /run/apache2
    start apache apache2 -f /etc/apache2/apache2.conf -DFOREGROUND
    web_requests 8081 visit 60
    web_requests 8081 status
    web_requests 8081 attack
    web_requests 8082 visit 40
    web_requests 8083 status
    web_requests 8084 status
    web_requests 8085 visit 10
    kill -USR1 "${pid_of[apache]}"         # a graceful restart, as logrotate does it
    sleep 2
    stop apache
    start apache-prefork apache2 -f /etc/apache2/apache2.conf -Dprefork -DFOREGROUND
    web_requests 8086 status
    stop apache-prefork
    keep apache /var/log/apache2/*.log
}

# Four rounds of visitors, and logrotate after each but the last.
make_rotated() {
    web_site
    cp "$daemons/nginx/plain.conf" /etc/nginx/
    install -d -o www-data -g adm -m 755 /var/log/rotated
    start nginx-plain nginx -c /etc/nginx/plain.conf
    local round
    for round in 40 30 20; do
        web_requests 8090 repeat "$round"
        logrotate --force --state /run/logrotate.state "$daemons/logrotate/nginx"
    done
    web_requests 8090 repeat 10
    stop nginx-plain QUIT
    keep rotated /var/log/rotated/access.log*
    rm -rf "$logs/compressed"
    mkdir "$logs/compressed"
    (
        cd "$logs/rotated"
        # One .gz of two members, as `cat` or an appending gzip makes it; and other compressors, as `compresscmd` runs them.
        cat access.log.3.gz access.log.2.gz >../compressed/access.several-members.log.gz
        bzip2 -9 <access.log.1 >../compressed/access.log.bz2
        xz -6 <access.log.1 >../compressed/access.log.xz
        zstd -q -19 <access.log.1 >../compressed/access.log.zst
    )
}

start_named() {
    install -d -o bind -g bind /run/named /var/log/named
    cp "$daemons/bind/"* /etc/bind/
    # In Berlin, so that iso8601 and iso8601-utc differ.
    TZ=Europe/Berlin start named named -f -u bind -c "/etc/bind/$1"
}

make_bind() {
    start_named named.conf
    "$daemons/dns-queries.sh" 5300 burst
    stop named
    keep bind /var/log/named/*.log
}

make_dnsmasq() {
    start_named named.conf
    mkdir -p /etc/pihole /var/log/dnsmasq
    cp "$daemons/dnsmasq/"*.list /etc/pihole/
    start dnsmasq dnsmasq -k -C "$daemons/dnsmasq/dnsmasq.conf" --log-queries --log-facility=/var/log/dnsmasq/queries.log
    "$daemons/dns-queries.sh" 5353
    dnsmasq_extras
    stop dnsmasq
    start dnsmasq dnsmasq -k -C "$daemons/dnsmasq/dnsmasq.conf" --log-queries=extra --log-facility=/var/log/dnsmasq/extra.log
    "$daemons/dns-queries.sh" 5353
    dnsmasq_extras
    stop dnsmasq
    stop named
    keep dnsmasq /var/log/dnsmasq/*.log
}

# What only dnsmasq answers: names of the local network and of the blocklist; and its statistics.
dnsmasq_extras() {
    local name
    for name in nas.lan drucker.lan printer.lan nothing.lan metrics.tracker.example nas; do
        dig @127.0.0.1 -p 5353 +tries=1 +timeout=1 -q "$name" -t A >/dev/null || :
        dig @127.0.0.1 -p 5353 +tries=1 +timeout=1 -q "$name" -t AAAA >/dev/null || :
    done
    dig @127.0.0.1 -p 5353 +tries=1 -q _ipp._tcp.lan -t SRV >/dev/null || :
    dig @127.0.0.1 -p 5353 +tries=1 -q note.lan -t TXT >/dev/null || :
    dig @127.0.0.1 -p 5353 +tries=1 -x 192.168.1.2 >/dev/null || :
    kill -USR1 "${pid_of[dnsmasq]}"
    kill -HUP "${pid_of[dnsmasq]}"
    sleep 0.3
}

start_unbound() {
    cp "$daemons/unbound/unbound.conf" /etc/unbound/
    cp "$daemons/unbound/$1.conf" /etc/unbound/log.conf
    TZ=America/New_York start unbound unbound -d -p -c /etc/unbound/unbound.conf
}

make_unbound() {
    local kind
    install -d -o unbound -g unbound /var/log/unbound
    start_named named.conf
    for kind in ascii epoch tagged; do
        start_unbound "$kind"
        "$daemons/dns-queries.sh" 5340
        stop unbound
    done
    stop named
    keep unbound /var/log/unbound/*.log
}

make_syslog() {
    mkdir -p /run/rsyslog /var/log/syslog.d
    start rsyslog rsyslogd -n -f "$daemons/rsyslog/rsyslog.conf" -i /run/rsyslog/pid
    "$daemons/rsyslog/messages.sh"
    "$daemons/rsyslog/newyear.sh"

    start_named named-syslog.conf
    "$daemons/dns-queries.sh" 5300
    mkdir -p /etc/pihole
    cp "$daemons/dnsmasq/"*.list /etc/pihole/
    start dnsmasq dnsmasq -k -C "$daemons/dnsmasq/dnsmasq.conf" --log-queries
    "$daemons/dns-queries.sh" 5353
    dnsmasq_extras
    stop dnsmasq
    start_unbound syslog
    "$daemons/dns-queries.sh" 5340
    stop unbound
    stop named
    make_sshd

    stop rsyslog
    rm -f /dev/log
    TZ=America/St_Johns start rsyslog-raw rsyslogd -n -f "$daemons/rsyslog/raw.conf" -i /run/rsyslog/pid
    TZ=America/St_Johns "$daemons/rsyslog/messages.sh"
    sleep 0.5
    stop rsyslog-raw
    keep syslog /var/log/syslog.d/*.log
}

# sshd, su, sudo and useradd, by way of rsyslog. The user, the keys and the password live as long as the namespace.
make_sshd() {
    mkdir -p /run/sshd /run/sshd-test/home
    useradd --home-dir /run/sshd-test/home --no-create-home --shell /bin/sh deploy
    chown deploy /run/sshd-test/home
    echo 'deploy:correct-horse' | chpasswd
    ssh-keygen -q -t ed25519 -N '' -C test -f /run/sshd-test/host_key
    ssh-keygen -q -t ed25519 -N '' -C test -f /run/sshd-test/user_key
    cp /run/sshd-test/user_key.pub /run/sshd-test/authorized_keys
    start sshd /usr/sbin/sshd -D -f "$daemons/sshd/sshd_config"
    "$daemons/sshd/visits.sh" /run/sshd-test/user_key >"$tmp/visits.out" 2>&1
    stop sshd
    (
        cd /
        su deploy -c true </dev/null
        sudo -u deploy /bin/echo 'two words' '"quoted"' 'back\slash' >/dev/null
        su deploy -c 'sudo -n /bin/ls /root' </dev/null >/dev/null 2>&1 || :
        su deploy -c 'echo wrong | sudo -S -p "" /usr/bin/id' </dev/null >/dev/null 2>&1 || :
        userdel deploy 2>/dev/null
    )
}

# Harm done on purpose to copies of the real logs; each name says what was done. No daemon wrote these.
make_malformed() {
    local from=$logs to=$logs/malformed
    [[ -d $from/nginx && -d $from/apache && -d $from/rotated && -d $from/syslog ]] || fail "malformed needs the parts nginx, apache, rotated and syslog"
    rm -rf "$to"
    mkdir -p "$to"
    head -n 20 "$from/nginx/combined.log" >"$tmp/20"
    head -n 40 "$from/nginx/combined.log" | tail -n 20 >"$tmp/next20"

    head -c -40 "$tmp/20" >"$to/cut-within-last-line.log"
    head -c -1 "$tmp/20" >"$to/no-line-feed-at-end.log"
    tail -c +60 "$tmp/20" >"$to/cut-within-first-line.log"
    unix2dos -q <"$tmp/20" >"$to/crlf.log"
    { head -n 10 "$tmp/20"; tail -n 10 "$tmp/20" | unix2dos -q; } >"$to/half-lf-half-crlf.log"
    unix2mac -q <"$tmp/20" >"$to/cr-only.log"
    { printf '\xef\xbb\xbf'; cat "$tmp/20"; } >"$to/bom-utf8.log"
    # iconv's UTF-16 writes the byte order mark itself.
    { printf '\xff\xfe'; iconv -f UTF-8 -t UTF-16LE "$tmp/20"; } >"$to/bom-utf16le.log"
    { printf '\xfe\xff'; iconv -f UTF-8 -t UTF-16BE "$tmp/20"; } >"$to/bom-utf16be.log"
    iconv -f UTF-8 -t UTF-16LE "$tmp/20" >"$to/utf16le-without-bom.log"
    # What a crash leaves: blocks that were allocated, never written.
    { head -n 10 "$tmp/20"; head -c 4096 /dev/zero; tail -n 10 "$tmp/20"; } >"$to/nul-run-between-lines.log"
    { head -c 1000 "$tmp/20"; head -c 512 /dev/zero; tail -c +1001 "$tmp/20"; } >"$to/nul-run-within-line.log"
    { cat "$tmp/20"; head -c 4096 /dev/zero; } >"$to/nul-run-at-end.log"
    head -c 8192 /dev/zero >"$to/only-nul.log"
    : >"$to/empty.log"
    printf '\n' >"$to/one-line-feed.log"
    sed G "$tmp/20" >"$to/empty-line-after-each.log"
    { head -n 10 "$tmp/20"; head -n 10 "$from/apache/error.log"; head -n 10 "$from/syslog/auth.log"; tail -n 10 "$tmp/20"; } >"$to/three-formats-mixed.log"
    { head -n 10 "$tmp/20"; head -n 10 "$from/nginx/timings.log"; } >"$to/format-changed-midway.log"
    { cat "$tmp/20"; gzip -n <"$tmp/next20"; } >"$to/gzip-bytes-appended-to-text.log"
    { head -c 300 "$tmp/20"; cat "$tmp/next20"; } >"$to/two-writers-interleaved.log"

    gzip -nc "$tmp/20" >"$tmp/20.gz"
    cp "$tmp/20.gz" "$to/gzip-without-gz-name.log"
    cp "$tmp/20" "$to/plain-text-named.gz"
    : >"$to/empty.gz"
    gzip -n </dev/null >"$to/gzip-of-nothing.gz"
    head -c $(($(stat -c %s "$tmp/20.gz") / 2)) "$tmp/20.gz" >"$to/cut-in-the-middle.gz"
    head -c -4 "$tmp/20.gz" >"$to/cut-in-the-trailer.gz"
    head -c 5 "$tmp/20.gz" >"$to/cut-in-the-header.gz"
    { cat "$tmp/20.gz"; printf 'this is not gzip'; } >"$to/text-after-the-end.gz"
    { cat "$tmp/20.gz"; head -c 1024 /dev/zero; } >"$to/nul-after-the-end.gz"
    { cat "$tmp/20.gz"; gzip -n <"$tmp/next20" | head -c 100; } >"$to/second-member-cut.gz"
    { head -c -8 "$tmp/20.gz"; printf '\xde\xad\xbe\xef'; tail -c 4 "$tmp/20.gz"; } >"$to/wrong-crc.gz"
    gzip -nc "$to/no-line-feed-at-end.log" >"$tmp/member"
    { cat "$tmp/member"; gzip -n <"$tmp/next20"; } >"$to/line-joined-across-members.gz"
    # 100 kB without a line feed: one real line, doubled until it is long enough.
    head -n 1 "$tmp/20" | tr -d '\n' >"$tmp/line"
    while (($(stat -c %s "$tmp/line") < 100000)); do cat "$tmp/line" "$tmp/line" >"$tmp/line2"; mv "$tmp/line2" "$tmp/line"; done
    { head -c 100000 "$tmp/line"; echo; cat "$tmp/20"; } | gzip -n >"$to/line-of-100-kB.gz"
}

private_system
for part in "${all[@]}"; do
    [[ " ${parts[*]} " == *" $part "* ]] || continue
    echo "make.sh: $part"
    "make_$part"
done
/usr/bin/python3 "$daemons/readme.py" "$here"
chown -R --reference="$here" "$logs" "$here/README.md"
