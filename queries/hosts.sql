-- description: Clients by hits, with what they asked for in vain
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=client y=hits

SELECT coalesce(client_ip, client_host) AS client, count(*) AS hits, count(*) FILTER (WHERE status >= 400) AS refused,
  bytes_human(sum(bytes)) AS sent, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM access_log
GROUP BY 1
ORDER BY hits DESC, client
LIMIT $top
