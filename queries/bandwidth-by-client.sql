-- description: Clients by bytes sent to them
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=client y=bytes

SELECT coalesce(client_ip, client_host) AS client, sum(bytes) AS bytes, bytes_human(sum(bytes)) AS sent, count(*) AS hits
FROM access_log
GROUP BY 1
HAVING sum(bytes) > 0
ORDER BY bytes DESC, client
LIMIT $top
