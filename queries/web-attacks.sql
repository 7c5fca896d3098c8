-- description: Requests that probe for holes, by kind and address
-- topic: security
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- schedule: 0 * * * *
-- chart: bar x=kind y=probes

WITH requests AS (
  SELECT client_ip, time, status, url_decode(coalesce(url, request)) AS target, user_agent FROM access_log
), probes AS (
  SELECT client_ip, time, status, target, CASE
    WHEN target ~* '(\.\./|\.\.\\|/etc/passwd|/proc/self|win\.ini)' THEN 'path traversal'
    WHEN target ~* '(union(\s|\+|/\*)+(all\s+)?select|''\s*or\s+''?1|sleep\(\d|benchmark\(|information_schema|xp_cmdshell)' THEN 'SQL injection'
    WHEN target ~* '(<script|javascript:|onerror\s*=|<img|alert\()' THEN 'script injection'
    WHEN target ~* '(\$\{jndi:|\(\)\s*\{|;\s*(wget|curl|sh|bash)\s|\$\(|`|cmd=|/bin/sh|allow_url_include|php://)' THEN 'command injection'
    WHEN target ~* '(/\.(env|git|svn|aws|ssh|htpasswd|ds_store)|wp-config|id_rsa|\.(bak|sql|old|swp)$)' THEN 'secrets'
    WHEN target ~* '(wp-login|xmlrpc\.php|/wp-admin|phpmyadmin|/pma/|/manager/html|/actuator|/solr/|/boaform|/cgi-bin/|/hnap1|/vendor/phpunit|/\.well-known/\.)' THEN 'known software'
    WHEN user_agent ~* '(sqlmap|nikto|nmap|masscan|zgrab|gobuster|dirbuster|wpscan|nuclei|acunetix)' THEN 'scanner'
  END AS kind
  FROM requests
)
SELECT kind, client_ip, count(*) AS probes, count(*) FILTER (WHERE status < 400) AS answered, time_bucket('1 second', max(time)) AS latest, min(target) AS example
FROM probes
WHERE kind IS NOT NULL
GROUP BY kind, client_ip
ORDER BY probes DESC, kind, client_ip
LIMIT $top
