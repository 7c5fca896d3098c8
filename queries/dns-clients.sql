-- description: Clients by queries
-- topic: dns
-- needs: dns_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=client_ip y=queries

SELECT client_ip, count(*) AS queries, count(DISTINCT query_name) AS names, time_bucket('1 second', max(time)) AS latest
FROM dns_log
WHERE client_ip IS NOT NULL AND action = 'query'
GROUP BY client_ip
ORDER BY queries DESC, client_ip
LIMIT $top
