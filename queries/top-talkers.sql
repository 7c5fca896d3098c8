-- description: Addresses over all kinds of logs: requests, logins, packets, names
-- topic: security
-- needs: access_log, auth_log, firewall_log, dns_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=ip y=events

WITH events AS (
  SELECT client_ip AS ip, 'web' AS kind, status >= 400 AS refused, time FROM access_log
  UNION ALL
  SELECT client_ip, 'login', action IN ('failure', 'invalid_user'), time FROM auth_log
  UNION ALL
  SELECT source_ip, 'packet', action IN ('block', 'drop', 'reject', 'deny'), time FROM firewall_log
  UNION ALL
  SELECT client_ip, 'dns', rcode NOT IN ('NOERROR'), time FROM dns_log
)
SELECT ip, count(*) AS events, count(*) FILTER (WHERE kind = 'web') AS web, count(*) FILTER (WHERE kind = 'login') AS logins,
  count(*) FILTER (WHERE kind = 'packet') AS packets, count(*) FILTER (WHERE kind = 'dns') AS dns, count(*) FILTER (WHERE refused) AS refused,
  time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM events
WHERE ip IS NOT NULL
GROUP BY ip
ORDER BY events DESC, ip
LIMIT $top
