-- description: Virtual hosts by hits
-- topic: web
-- needs: access_log
-- chart: bar x=vhost y=hits

SELECT vhost, count(*) AS hits, count(DISTINCT client_ip) AS clients, count(*) FILTER (WHERE status >= 500) AS failed,
  bytes_human(sum(bytes)) AS sent
FROM access_log
WHERE vhost IS NOT NULL
GROUP BY vhost
ORDER BY hits DESC, vhost
