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
# script ends, well or not, the kernel ends every process of the namespace with it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
daemons=$here/daemons
all=(nginx apache rotated bind dnsmasq unbound syslog malformed)
packages=(nginx-light apache2 apache2-utils php-fpm fcgiwrap curl openssl bind9 bind9-dnsutils dnsmasq-base unbound rsyslog
    openssh-server openssh-client sshpass logrotate dos2unix bsdutils iproute2 libc-bin python3 tzdata xz-utils zstd bzip2)

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
        bash "${BASH_SOURCE[0]}" --inside "$tmp" "$@"
    exit
fi

# ------------------------------------------------------------------------------------------------- inside

tmp=$2
shift 2
parts=("$@")
logs=$here/logs
clients=(203.0.113.{1,5,42,199}/32 198.51.100.{7,23,88}/32 2001:db8::1/128 2001:db8:0:7::bad:cafe/128)
pids=()
trap 'for p in "${pids[@]}"; do kill "$p" 2>/dev/null || :; done' EXIT

# Starts a daemon that stays in the foreground; its own chatter goes to a file that is shown if it dies.
start() {
    local name=$1
    shift
    "$@" >"$tmp/$name.out" 2>&1 &
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
    for each in null zero full random urandom tty ptmx; do
        touch "$tmp/fs/dev/$each"
        mount --bind "/dev/$each" "$tmp/fs/dev/$each"
    done
    mkdir "$tmp/fs/dev/"{pts,shm}
    mount --bind /dev/pts "$tmp/fs/dev/pts"
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
    start fcgiwrap setpriv --reuid=www-data --regid=www-data --clear-groups fcgiwrap -c 2 -s unix:/run/web/fcgiwrap.sock
}

web_requests() { /usr/bin/python3 "$daemons/web/web-requests.py" "$@"; }

make_nginx() {
    web_site
    cp "$daemons/nginx/"*.conf /etc/nginx/
    mkdir -p /var/log/nginx
    start nginx nginx -c /etc/nginx/nginx.conf
    web_requests 8080 visit 120
    web_requests 8080 status
    web_requests 8080 attack
    curl -sk --http2 -o /dev/null -A 'curl' --resolve www.example.com:8443:127.0.0.1 https://www.example.com:8443/ https://www.example.com:8443/missing.html
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
    web_requests 8081 visit 120
    web_requests 8081 status
    web_requests 8081 attack
    web_requests 8082 visit 40
    web_requests 8083 status
    web_requests 8084 status
    web_requests 8085 visit 10
    kill -USR1 "${pid_of[apache]}"         # a graceful restart, as logrotate does it
    sleep 2
    stop apache
    keep apache /var/log/apache2/*.log
}

private_system
for part in "${all[@]}"; do
    [[ " ${parts[*]} " == *" $part "* ]] || continue
    echo "make.sh: $part"
    "make_$part"
done
chown -R --reference="$here" "$logs"
